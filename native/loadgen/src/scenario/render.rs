//! The value of a source, and the text of templates with values.

use std::borrow::Cow;

use serde_json::Value as Json;

use crate::plan::{Encoding, Filter, FilterName, NowFormat, Part, Source};
use crate::random;
use crate::template::{self, Values};

use super::value::{Seen, compact};
use super::{Scope, filters};

/// Whether secrets are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// As they are.
    Real,
    /// As `***`.
    Masked,
}

const MASK: &str = "***";

/// The value of a [`Part::Value`] after its filters; None for an unset slot and for other parts.
pub fn value<'a>(part: &'a Part, scope: &'a impl Scope) -> Option<Seen<'a>> {
    let Part::Value { source, filters, .. } = part else { return None };
    let seen = of_source(source, scope)?;
    Some(filters.iter().fold(seen, |seen, filter| filters::apply(filter, seen, scope)))
}

/// Appends the text of a template.
pub fn append(parts: &[Part], scope: &impl Scope, shown: Shown, out: &mut Vec<u8>) {
    for part in parts {
        match part {
            Part::Literal { text } => out.extend_from_slice(text.as_bytes()),
            Part::Bytes { bytes } => out.extend_from_slice(bytes),
            Part::Secret { .. } | Part::Value { is_secret: true, .. } if shown == Shown::Masked => {
                out.extend_from_slice(MASK.as_bytes());
            }
            Part::Secret { slot, encoding } => append_encoded(scope.secret(slot), *encoding, out),
            Part::Variable { name, encoding } => template::append_variable(*name, *encoding, scope.values(), out),
            Part::Value { encoding, filters, .. } => {
                let seen = value(part, scope).or_else(|| of_nothing(filters, scope));
                append_value(seen, *encoding, out);
            }
        }
    }
}

/// What filters make of an unset slot.
fn of_nothing(filters: &[Filter], scope: &impl Scope) -> Option<Seen<'static>> {
    let (first, rest) = filters.split_first()?;
    let seen = match first.name {
        FilterName::Json => Seen::Text(Cow::Borrowed("null")),
        _ => filters::apply(first, Seen::Text(Cow::Borrowed("")), scope),
    };
    Some(rest.iter().fold(seen, |seen, filter| filters::apply(filter, seen, scope)))
}

/// The text of a template. Bytes of values are UTF-8, so it is too.
pub(super) fn text(parts: &[Part], scope: &impl Scope) -> String {
    let mut out = Vec::new();
    append(parts, scope, Shown::Real, &mut out);
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn append_value(seen: Option<Seen<'_>>, encoding: Encoding, out: &mut Vec<u8>) {
    match (seen, encoding) {
        (Some(Seen::Json(json)), Encoding::JsonValue) => out.extend_from_slice(compact(&json).as_bytes()),
        (Some(seen), encoding) => append_encoded(&seen.into_text(), encoding, out),
        (None, Encoding::JsonValue) => out.extend_from_slice(b"null"),
        (None, _) => {}
    }
}

fn append_encoded(text: &str, encoding: Encoding, out: &mut Vec<u8>) {
    match encoding {
        Encoding::Raw => out.extend_from_slice(text.as_bytes()),
        Encoding::Percent | Encoding::Json => out.extend_from_slice(template::encoded(text, encoding).as_bytes()),
        Encoding::JsonValue => out.extend_from_slice(filters::quoted(text).as_bytes()),
        Encoding::Header => out.extend(text.bytes().filter(|byte| *byte >= 0x20 && *byte != 0x7F || *byte == b'\t')),
        Encoding::Target => {
            for byte in text.bytes() {
                if byte > 0x20 && byte < 0x7F {
                    out.push(byte);
                } else {
                    out.extend_from_slice(&[b'%', hexadecimal(byte >> 4), hexadecimal(byte & 15)]);
                }
            }
        }
    }
}

fn hexadecimal(nibble: u8) -> u8 {
    b"0123456789ABCDEF"[usize::from(nibble)]
}

fn of_source<'a>(source: &'a Source, scope: &'a impl Scope) -> Option<Seen<'a>> {
    let text = match source {
        Source::Slot { slot } => return scope.slot(*slot).seen(),
        Source::Data { table, column, place } => {
            let value = scope.cell(*table, *column, *place);
            return value.seen().map(Seen::into_owned);
        }
        Source::User {} => scope.user().to_string(),
        Source::Iteration {} => scope.iteration().to_string(),
        Source::Uuid { place } => {
            let text = random::uuid4_of(scope.draw(*place), scope.draw(*place + 1));
            text.iter().copied().map(char::from).collect()
        }
        Source::RandomInt { low, high, place } => random::int_within(scope.draw(*place), *low, *high).to_string(),
        Source::RandomString { length, place } => random::random_string(scope.draw(*place), *length),
        Source::RandomChoice { choices, place } => {
            let index = random::index(scope.draw(*place), choices.len());
            return choices.get(index).map(|choice| Seen::Text(Cow::Borrowed(choice)));
        }
        Source::Now { offset_ns, format } => now(scope.values(), *offset_ns, *format),
        Source::Text { text, secret_slot } if secret_slot.is_empty() => return Some(Seen::Text(Cow::Borrowed(text))),
        Source::Text { secret_slot, .. } => return Some(Seen::Text(Cow::Borrowed(scope.secret(secret_slot)))),
    };
    Some(Seen::Text(text.into()))
}

fn now(values: Values, offset_ns: i64, format: NowFormat) -> String {
    let wall_ns = i128::from(values.wall_ns) + i128::from(offset_ns);
    match format {
        NowFormat::Unix => wall_ns.div_euclid(1_000_000_000).to_string(),
        NowFormat::UnixMs => wall_ns.div_euclid(1_000_000).to_string(),
        NowFormat::Iso => template::timestamp(wall_ns),
        NowFormat::Date => template::timestamp(wall_ns)[..10].to_owned(),
        NowFormat::Time => template::timestamp(wall_ns)[11..19].to_owned(),
    }
}

impl Seen<'_> {
    fn into_owned<'b>(self) -> Seen<'b> {
        match self {
            Seen::Text(text) => Seen::Text(Cow::Owned(text.into_owned())),
            Seen::Json(json) => Seen::Json(Cow::<Json>::Owned(json.into_owned())),
        }
    }
}
