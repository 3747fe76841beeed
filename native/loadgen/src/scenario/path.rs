//! Compiled `JSONPath`s (RFC 9535). A path of names and indexes only is walked directly; `serde_json_path` evaluates
//! all others.

use serde_json::Value as Json;
use serde_json_path::JsonPath;

/// A plan's longer paths are refused.
const MOST_CHARACTERS: usize = 1000;

/// A path.
#[derive(Debug, Clone)]
pub enum Path {
    /// Selects at most one node.
    Simple(Vec<Key>),
    /// Any path.
    Full(Box<JsonPath>),
}

/// A member or an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// Of an object.
    Name(String),
    /// Of an array.
    Index(usize),
}

impl Path {
    /// Compiles a path.
    ///
    /// # Errors
    /// A message that says what is wrong with it.
    pub fn new(text: &str) -> Result<Path, String> {
        if text.chars().count() > MOST_CHARACTERS {
            return Err(format!("it has more than {MOST_CHARACTERS} characters"));
        }
        let full = JsonPath::parse(text).map_err(|error| error.to_string())?;
        Ok(simple(text).map_or_else(|| Path::Full(Box::new(full)), Path::Simple))
    }

    /// The nodes in order.
    #[must_use]
    pub fn nodes<'a>(&self, json: &'a Json) -> Vec<&'a Json> {
        match self {
            Path::Simple(keys) => walked(keys, json).into_iter().collect(),
            Path::Full(path) => path.query(json).all(),
        }
    }

    /// The first node.
    #[must_use]
    pub fn first<'a>(&self, json: &'a Json) -> Option<&'a Json> {
        match self {
            Path::Simple(keys) => walked(keys, json),
            Path::Full(path) => path.query(json).first(),
        }
    }
}

fn walked<'a>(keys: &[Key], json: &'a Json) -> Option<&'a Json> {
    keys.iter().try_fold(json, |json, key| match key {
        Key::Name(name) => json.as_object()?.get(name),
        Key::Index(index) => json.as_array()?.get(*index),
    })
}

/// The keys of a valid path that has nothing but `.name`, `['name']` without escapes, and `[0]`.
fn simple(path: &str) -> Option<Vec<Key>> {
    let mut rest = path.strip_prefix('$')?;
    let mut keys = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
            let length = after.find(|character| !is_name(character)).unwrap_or(after.len());
            if length == 0 {
                return None;
            }
            keys.push(Key::Name(after[..length].to_owned()));
            rest = &after[length..];
        } else {
            let (inside, after) = rest.strip_prefix('[')?.split_once(']')?;
            let quoted = |quote: char| inside.strip_prefix(quote).and_then(|inside| inside.strip_suffix(quote));
            keys.push(if let Some(name) = quoted('\'').or_else(|| quoted('"')) {
                if name.contains(['\\', '\'', '"']) {
                    return None;
                }
                Key::Name(name.to_owned())
            } else if !inside.is_empty() && inside.bytes().all(|byte| byte.is_ascii_digit()) {
                Key::Index(inside.parse().ok()?)
            } else {
                return None;
            });
            rest = after;
        }
    }
    Some(keys)
}
