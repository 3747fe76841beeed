//! Values of variables and subjects: unset, text or JSON, their two written forms, and how they compare.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use serde_json::{Number, Value as Json};

/// The content of a slot, or what a source gives.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// Nothing.
    #[default]
    Unset,
    /// Text.
    Text(String),
    /// A number, true, false, null, an array or an object; a JSON string is [`Value::Text`].
    Json(Json),
}

/// A value that is not unset, borrowed where possible.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// Never a JSON string.
    Json(Cow<'a, Json>),
}

impl Value {
    /// None if it is unset.
    #[must_use]
    pub fn seen(&self) -> Option<Seen<'_>> {
        match self {
            Value::Unset => None,
            Value::Text(text) => Some(Seen::Text(Cow::Borrowed(text))),
            Value::Json(json) => Some(Seen::of(json)),
        }
    }
}

impl From<Json> for Value {
    fn from(json: Json) -> Value {
        match json {
            Json::String(text) => Value::Text(text),
            other => Value::Json(other),
        }
    }
}

impl From<Seen<'_>> for Value {
    fn from(seen: Seen<'_>) -> Value {
        match seen {
            Seen::Text(text) => Value::Text(text.into_owned()),
            Seen::Json(json) => Value::from(json.into_owned()),
        }
    }
}

impl<'a> Seen<'a> {
    /// A borrowed JSON value.
    #[must_use]
    pub fn of(json: &'a Json) -> Seen<'a> {
        match json {
            Json::String(text) => Seen::Text(Cow::Borrowed(text)),
            other => Seen::Json(Cow::Borrowed(other)),
        }
    }

    /// An integer.
    #[must_use]
    pub fn number(number: u64) -> Seen<'a> {
        Seen::Json(Cow::Owned(Json::from(number)))
    }

    /// Text as it is, JSON in compact form.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Seen::Text(text) => Cow::Borrowed(text),
            Seen::Json(json) => Cow::Owned(compact(json)),
        }
    }

    /// The text form, without a copy of a text.
    #[must_use]
    pub fn into_text(self) -> Cow<'a, str> {
        match self {
            Seen::Text(text) => text,
            Seen::Json(json) => Cow::Owned(compact(&json)),
        }
    }

    /// The value as JSON: a text becomes a JSON string.
    #[must_use]
    pub fn into_json(self) -> Cow<'a, Json> {
        match self {
            Seen::Text(text) => Cow::Owned(Json::String(text.into_owned())),
            Seen::Json(json) => json,
        }
    }

    /// Whether it equals an operand. Numbers are equal by value, and a text that reads as a JSON number equals that
    /// number; otherwise types must be the same.
    #[must_use]
    pub fn equals(&self, operand: &Json) -> bool {
        match (self, operand) {
            (Seen::Text(text), Json::String(other)) => text == other,
            (Seen::Text(text), Json::Number(other)) => {
                number_of(text).is_some_and(|number| compared(&number, other).is_some_and(Ordering::is_eq))
            }
            (Seen::Text(_), _) => false,
            (Seen::Json(json), other) => are_equal(json, other),
        }
    }

    /// How it compares with an operand: as numbers if both are or read as numbers, as code points if both are texts.
    #[must_use]
    pub fn order(&self, operand: &Seen<'_>) -> Option<Ordering> {
        match (self.as_number(), operand.as_number()) {
            (Some(number), Some(other)) => compared(&number, &other),
            _ => match (self, operand) {
                // UTF-8 sorts like code points.
                (Seen::Text(text), Seen::Text(other)) => Some(text.as_bytes().cmp(other.as_bytes())),
                _ => None,
            },
        }
    }

    fn as_number(&self) -> Option<Cow<'_, Number>> {
        match self {
            Seen::Text(text) => number_of(text).map(Cow::Owned),
            Seen::Json(json) => match json.as_ref() {
                Json::Number(number) => Some(Cow::Borrowed(number)),
                _ => None,
            },
        }
    }

    /// Whether an array has an element that equals the operand, or the text form contains the operand's.
    #[must_use]
    pub fn contains(&self, operand: &Json) -> bool {
        match self {
            Seen::Json(json) if json.is_array() => {
                json.as_array().is_some_and(|elements| elements.iter().any(|item| Seen::of(item).equals(operand)))
            }
            _ => find(&self.text(), &Seen::of(operand).text()),
        }
    }
}

/// JSON without spaces. A double is written with as few digits as identify it, its exponent without a plus sign.
#[must_use]
pub fn compact(json: &Json) -> String {
    let mut out = Vec::new();
    // Keys are texts and a Vec takes every byte, so it cannot fail; bytes of JSON are UTF-8.
    let _ = json.serialize(&mut Serializer::with_formatter(&mut out, Compact));
    String::from_utf8(out).unwrap_or_default()
}

struct Compact;

impl Formatter for Compact {
    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        let text = Number::from_f64(value).map_or_else(|| "null".to_owned(), |number| number.to_string());
        writer.write_all(text.replace('+', "").as_bytes())
    }
}

/// Whether `text` contains `part`.
pub(super) fn find(text: &str, part: &str) -> bool {
    memchr::memmem::find(text.as_bytes(), part.as_bytes()).is_some()
}

/// The number that a text is, in JSON's notation.
#[must_use]
pub fn number_of(text: &str) -> Option<Number> {
    let bytes = text.as_bytes();
    let begins = bytes.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'-');
    // serde_json accepts white space around it.
    if !begins || !bytes.last().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    match serde_json::from_str(text) {
        Ok(Json::Number(number)) => Some(number),
        _ => None,
    }
}

/// Compares two integers exactly, other numbers as doubles.
fn compared(number: &Number, other: &Number) -> Option<Ordering> {
    match (number.as_i128(), other.as_i128()) {
        (Some(number), Some(other)) => Some(number.cmp(&other)),
        _ => number.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

/// Deep equality; the order of an object's members does not matter.
fn are_equal(json: &Json, other: &Json) -> bool {
    match (json, other) {
        (Json::Number(number), Json::Number(other)) => compared(number, other).is_some_and(Ordering::is_eq),
        (Json::Array(items), Json::Array(others)) => {
            items.len() == others.len() && items.iter().zip(others).all(|(item, other)| are_equal(item, other))
        }
        (Json::Object(members), Json::Object(others)) => {
            members.len() == others.len()
                && members.iter().all(|(name, member)| others.get(name).is_some_and(|other| are_equal(member, other)))
        }
        _ => json == other,
    }
}
