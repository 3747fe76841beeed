//! A parsed JSON body whose texts are those of the body. Parsing one takes less than half the time of a
//! [`serde_json::Value`], which is made of it where a library needs one.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value as Json};

use super::value::Seen;

/// Levels of nesting beyond which a text is not read as JSON.
pub const MOST_LEVELS: usize = 128;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Node<'a> {
    /// null.
    Null,
    /// true or false.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    Text(Cow<'a, str>),
    /// An array.
    Array(Vec<Node<'a>>),
    /// An object, in order of the text. Of members with one name, the last counts, at the place of the first.
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl<'a> Node<'a> {
    /// Parses a text (RFC 8259) of at most [`MOST_LEVELS`] levels; None if it is none.
    #[must_use]
    pub fn parsed(text: &'a str) -> Option<Node<'a>> {
        // serde_json refuses the last of these levels.
        serde_json::from_str(text).ok().or_else(|| {
            (levels(text) == MOST_LEVELS).then_some(())?;
            let mut deserializer = serde_json::Deserializer::from_str(text);
            deserializer.disable_recursion_limit();
            let node = Node::deserialize(&mut deserializer).ok()?;
            deserializer.end().ok().map(|()| node)
        })
    }

    /// The member of an object.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Node<'a>> {
        match self {
            Node::Object(members) => members.iter().rev().find(|(known, _)| known == name).map(|(_, member)| member),
            _ => None,
        }
    }

    /// The element of an array, from its end if the index is negative.
    #[must_use]
    pub fn element(&self, index: i64) -> Option<&Node<'a>> {
        let Node::Array(elements) = self else { return None };
        let index = match usize::try_from(index) {
            Ok(index) => index,
            Err(_) => elements.len().checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?,
        };
        elements.get(index)
    }

    /// As a value to compare.
    #[must_use]
    pub fn seen(&self) -> Seen<'_> {
        match self {
            Node::Text(text) => Seen::Text(Cow::Borrowed(text)),
            Node::Number(number) => Seen::Json(Cow::Owned(Json::Number(number.clone()))),
            other => Seen::Json(Cow::Owned(other.to_json())),
        }
    }

    /// As a value of the JSON library.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self {
            Node::Null => Json::Null,
            Node::Bool(truth) => Json::Bool(*truth),
            Node::Number(number) => Json::Number(number.clone()),
            Node::Text(text) => Json::String(text.clone().into_owned()),
            Node::Array(elements) => Json::Array(elements.iter().map(Node::to_json).collect()),
            Node::Object(members) => Json::Object(
                members.iter().map(|(name, member)| (name.clone().into_owned(), member.to_json())).collect(),
            ),
        }
    }

    /// Independent of the text.
    #[must_use]
    pub fn into_owned(self) -> Node<'static> {
        match self {
            Node::Null => Node::Null,
            Node::Bool(truth) => Node::Bool(truth),
            Node::Number(number) => Node::Number(number),
            Node::Text(text) => Node::Text(Cow::Owned(text.into_owned())),
            Node::Array(elements) => Node::Array(elements.into_iter().map(Node::into_owned).collect()),
            Node::Object(members) => Node::Object(
                members
                    .into_iter()
                    .map(|(name, member)| (Cow::Owned(name.into_owned()), member.into_owned()))
                    .collect(),
            ),
        }
    }
}

/// The most brackets that are open at once, outside of strings.
fn levels(text: &str) -> usize {
    let (mut open, mut most, mut in_string, mut is_escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                open += 1;
                most = most.max(open);
            }
            b']' | b'}' if !in_string => open = open.saturating_sub(1),
            _ => {}
        }
    }
    most
}

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node<'de>, E> {
        Ok(Node::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node<'de>, E> {
        Ok(Node::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Node<'de>, E> {
        Number::from_f64(number).map(Node::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Node<'de>, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element()? {
            array.push(element);
        }
        Ok(Node::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node<'de>, A::Error> {
        let mut object = Vec::new();
        while let Some((Name(name), member)) = members.next_entry()? {
            object.push((name, member));
        }
        Ok(Node::Object(object))
    }
}

/// The name of a member, borrowed if it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Owned(text.to_owned())))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Borrowed(text)))
    }
}
