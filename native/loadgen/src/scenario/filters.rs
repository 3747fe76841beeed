//! Filters of values: each takes the text form of a value and gives text.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::{digest, hmac};

use crate::plan::{Encoding, Filter, FilterName};
use crate::template::encoded;

use super::Scope;
use super::value::{Seen, compact};

/// Applies a filter.
pub(super) fn apply<'a>(filter: &Filter, seen: Seen<'a>, scope: &impl Scope) -> Seen<'a> {
    let text = match filter.name {
        FilterName::Json => match seen {
            Seen::Json(json) => compact(&json),
            Seen::Text(text) => quoted(&text),
        },
        name => {
            let text = seen.into_text();
            match name {
                FilterName::Base64 => STANDARD.encode(text.as_bytes()),
                FilterName::Base64Url => URL_SAFE_NO_PAD.encode(text.as_bytes()),
                FilterName::Sha256 => hexadecimal(digest::digest(&digest::SHA256, text.as_bytes()).as_ref()),
                FilterName::HmacSha256 => {
                    let key = if filter.key_slot.is_empty() { &filter.key } else { scope.secret(&filter.key_slot) };
                    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
                    hexadecimal(hmac::sign(&key, text.as_bytes()).as_ref())
                }
                FilterName::Url => encoded(&text, Encoding::Percent),
                FilterName::Lower => text.chars().map(|letter| only(letter.to_lowercase(), letter)).collect(),
                FilterName::Upper => text.chars().map(|letter| only(letter.to_uppercase(), letter)).collect(),
                FilterName::Json => text.into_owned(),
            }
        }
    };
    Seen::Text(text.into())
}

/// The text as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", encoded(text, Encoding::Json))
}

/// The mapping of a letter, or the letter if it maps to several.
fn only(mut mapped: impl Iterator<Item = char>, letter: char) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(only), None) => only,
        _ => letter,
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
