//! Compiled subjects: what a condition compares or an extract reads.

use std::borrow::Cow;

use regex::Regex;
use serde_json::Value as Json;

use crate::pattern;
use crate::plan::Part;
use crate::plan::program::{self, Pick, SubjectKind};
use crate::random;

use super::path::Path;
use super::value::Seen;
use super::{Answer, Needs, Scope, render, set_cookie};

/// Matches of a regular expression in one body that are read; later ones are ignored, in both engines.
const MOST_MATCHES: usize = 10_000;

/// A subject.
#[derive(Debug, Clone)]
pub struct Subject {
    kind: Kind,
    pick: Pick,
    place: u64,
}

#[derive(Debug, Clone)]
enum Kind {
    Status,
    Time,
    Size,
    Header(String),
    Cookie(String),
    Body,
    Json(Path),
    Regex(Regex),
    Value(Box<Part>),
}

impl Subject {
    /// Compiles a subject.
    ///
    /// # Errors
    /// A message that says what is wrong with its path, pattern or value.
    pub fn new(subject: &program::Subject) -> Result<Subject, String> {
        let text = &subject.text;
        let kind = match subject.kind {
            SubjectKind::Status => Kind::Status,
            SubjectKind::Time => Kind::Time,
            SubjectKind::Size => Kind::Size,
            SubjectKind::Header => Kind::Header(text.clone()),
            SubjectKind::Cookie => Kind::Cookie(text.clone()),
            SubjectKind::Body => Kind::Body,
            SubjectKind::Json => {
                Kind::Json(Path::new(text).map_err(|error| format!("its path cannot be used: {error}"))?)
            }
            SubjectKind::Regex => Kind::Regex(
                pattern::compile_with_groups(text).map_err(|error| format!("its pattern cannot be used: {error}"))?,
            ),
            SubjectKind::Value => match subject.value.as_deref() {
                Some(part @ Part::Value { .. }) => Kind::Value(Box::new(part.clone())),
                _ => return Err("it has no value".to_owned()),
            },
        };
        Ok(Subject { kind, pick: subject.pick, place: subject.place })
    }

    /// What must be kept of the response.
    #[must_use]
    pub fn needs(&self) -> Needs {
        match self.kind {
            Kind::Header(_) | Kind::Cookie(_) => Needs { headers: true, body: false },
            Kind::Body | Kind::Json(_) | Kind::Regex(_) => Needs { headers: false, body: true },
            _ => Needs::default(),
        }
    }

    /// The value; None if there is none, or if it needs a response and there is none.
    pub fn read<'a>(&'a self, answer: Option<&'a Answer<'_>>, scope: &'a impl Scope) -> Option<Seen<'a>> {
        if let Kind::Value(part) = &self.kind {
            return render::value(part, scope);
        }
        let answer = answer?;
        match &self.kind {
            Kind::Status => Some(Seen::number(answer.status.into())),
            Kind::Time => Some(Seen::number(answer.time_ns)),
            Kind::Size => Some(Seen::number(answer.size)),
            Kind::Header(name) => self.picked(answer.headers(name).map(|value| Seen::Text(as_text(value))), scope),
            Kind::Cookie(name) => {
                let values = answer.headers("set-cookie").filter_map(|line| {
                    let (found, value) = set_cookie::name_and_value(&line)?;
                    (found == name.as_bytes()).then(|| as_text(Cow::Owned(value.to_vec())))
                });
                values.last().map(Seen::Text)
            }
            Kind::Body => answer.text().map(|text| Seen::Text(Cow::Borrowed(text))),
            Kind::Json(path) => match self.pick {
                Pick::First => path.first(answer),
                Pick::Count => path.count(answer).map(Seen::number),
                _ => self.picked(path.nodes(answer)?.into_iter(), scope),
            },
            Kind::Regex(regex) => self.picked(matches(regex, answer.text()?), scope),
            Kind::Value(_) => None,
        }
    }

    /// The JSON value that a schema judges: the parsed body if the subject is the body.
    pub fn read_json<'a>(&'a self, answer: Option<&'a Answer<'_>>, scope: &'a impl Scope) -> Option<Cow<'a, Json>> {
        match self.kind {
            Kind::Body => answer?.json().map(Cow::Borrowed),
            _ => self.read(answer, scope).map(Seen::into_json),
        }
    }

    fn picked<'a>(&self, mut seen: impl Iterator<Item = Seen<'a>>, scope: &impl Scope) -> Option<Seen<'a>> {
        match self.pick {
            Pick::First => seen.next(),
            Pick::Last => seen.last(),
            Pick::Random => {
                let mut seen: Vec<_> = seen.collect();
                if seen.is_empty() {
                    return None;
                }
                Some(seen.swap_remove(random::index(scope.draw(self.place), seen.len())))
            }
            Pick::All => {
                Some(Seen::Json(Cow::Owned(Json::Array(seen.map(|one| one.into_json().into_owned()).collect()))))
            }
            Pick::Count => Some(Seen::number(seen.count() as u64)),
        }
    }
}

/// Group 1 of each match if the pattern has one and it took part, else the match.
fn matches<'a>(regex: &'a Regex, text: &'a str) -> impl Iterator<Item = Seen<'a>> {
    regex.captures_iter(text).take(MOST_MATCHES).filter_map(|found| {
        let part = found.get(1).or_else(|| found.get(0))?;
        Some(Seen::Text(Cow::Borrowed(part.as_str())))
    })
}

/// A header's value as text: each byte is one character (ISO 8859-1).
fn as_text(value: Cow<'_, [u8]>) -> Cow<'_, str> {
    match value {
        Cow::Borrowed(bytes) => encoding_rs::mem::decode_latin1(bytes),
        Cow::Owned(bytes) => Cow::Owned(encoding_rs::mem::decode_latin1(&bytes).into_owned()),
    }
}
