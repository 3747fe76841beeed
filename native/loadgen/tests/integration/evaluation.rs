//! The cases that every engine shares: `tests/vectors/evaluation.json` and `cookies.json`.

use std::collections::HashMap;

use crate::user::{Response, User, UserScope, bytes};
use loadgen::plan::{Part, program};
use loadgen::scenario::path::Path;
use loadgen::scenario::{Condition, Jar, Place, Shown, Subject, render, set_cookie, value};
use serde::Deserialize;
use serde_json::Value as Json;

#[derive(Deserialize)]
struct Cases {
    scope: User,
    answers: HashMap<String, Response>,
    conditions: Vec<ConditionCase>,
    extracts: Vec<ExtractCase>,
    documents: Vec<Document>,
    path_documents: HashMap<String, Json>,
    paths: Vec<PathCase>,
    refused_paths: Vec<String>,
    renderings: Vec<Rendering>,
}

#[derive(Deserialize)]
struct ConditionCase {
    name: String,
    answer: String,
    condition: program::Condition,
    holds: bool,
}

#[derive(Deserialize)]
struct ExtractCase {
    name: String,
    answer: String,
    subject: program::Subject,
    json: Option<String>,
    text: Option<String>,
}

#[derive(Deserialize)]
struct Document {
    name: String,
    body: Option<String>,
    body_hex: Option<String>,
    json: Option<String>,
}

#[derive(Deserialize)]
struct PathCase {
    document: String,
    path: String,
    nodes: Vec<Json>,
}

#[derive(Deserialize)]
struct Rendering {
    name: String,
    part: Part,
    text: String,
}

/// `serde_json_path` orders false before true, and compares numbers as doubles.
const DIFFERENT_PATHS: [&str; 2] = ["$[?@>=true]", "$[?@==9007199254740993]"];

/// A full response with this body and no headers.
fn of_body(body: String) -> Response {
    Response { status: 200, time_ns: 0, size: None, headers: Vec::new(), body: Some(body), body_hex: None }
}

fn cases() -> (Cases, HashMap<String, Vec<u8>>) {
    let cases: Cases = serde_json::from_str(include_str!("../../../../tests/vectors/evaluation.json")).unwrap();
    let raws = cases.answers.iter().map(|(name, answer)| (name.clone(), answer.raw())).collect();
    (cases, raws)
}

#[test]
fn conditions_hold_as_in_the_other_engine() {
    let (cases, raws) = cases();
    let scope = UserScope::new(cases.scope);
    assert!(cases.conditions.len() > 100);
    let wrong: Vec<_> = cases
        .conditions
        .iter()
        .filter(|case| {
            let answer = cases.answers[&case.answer].answer(&raws[&case.answer]);
            Condition::new(&case.condition).unwrap().holds(Some(&answer), &scope) != case.holds
        })
        .map(|case| &case.name)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn subjects_have_the_values_of_the_other_engine() {
    let (cases, raws) = cases();
    let scope = UserScope::new(cases.scope);
    assert!(cases.extracts.len() > 50);
    let mut wrong = Vec::new();
    for case in &cases.extracts {
        let answer = cases.answers[&case.answer].answer(&raws[&case.answer]);
        let subject = Subject::new(&case.subject).unwrap();
        let text = subject.read(Some(&answer), &scope).map(|seen| seen.into_text().into_owned());
        let json = subject.read(Some(&answer), &scope).map(|seen| value::compact(&seen.into_json()));
        if (&json, &text) != (&case.json, &case.text) {
            wrong.push((&case.name, json, &case.json, text, &case.text));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn bodies_are_json_as_in_the_other_engine() {
    let (cases, _) = cases();
    assert!(cases.documents.len() > 50);
    let mut wrong = Vec::new();
    for case in cases.documents {
        let response = Response {
            status: 200,
            time_ns: 0,
            size: None,
            headers: Vec::new(),
            body: case.body,
            body_hex: case.body_hex,
        };
        let raw = response.raw();
        let json = response.answer(&raw).node().map(|node| value::compact(&node.to_json()));
        if json != case.json {
            wrong.push((case.name, json, case.json));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn paths_select_the_nodes_of_the_other_engine() {
    let (cases, _) = cases();
    assert!(cases.paths.len() > 50 && cases.refused_paths.len() > 20);
    let mut wrong = Vec::new();
    for case in cases.paths.iter().filter(|case| !DIFFERENT_PATHS.contains(&case.path.as_str())) {
        let body = cases.path_documents[&case.document].to_string();
        let response = of_body(body);
        let raw = response.raw();
        let answer = response.answer(&raw);
        let nodes = Path::new(&case.path).map(|path| {
            let nodes = path.nodes(&answer).unwrap();
            assert_eq!(path.first(&answer), nodes.first().cloned());
            nodes.into_iter().map(|node| node.into_json().into_owned()).collect::<Vec<_>>()
        });
        if nodes.as_ref() != Ok(&case.nodes) {
            wrong.push((&case.path, nodes, &case.nodes));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let accepted: Vec<_> = cases.refused_paths.iter().filter(|path| Path::new(path).is_ok()).collect();
    assert!(accepted.is_empty(), "{accepted:#?}");
}

#[test]
fn values_are_written_as_in_the_other_engine() {
    let (cases, _) = cases();
    let scope = UserScope::new(cases.scope);
    assert!(cases.renderings.len() > 50);
    let mut wrong = Vec::new();
    for case in cases.renderings {
        let mut out = Vec::new();
        render::append(&[case.part], &scope, Shown::Real, &mut out);
        let text = String::from_utf8(out).unwrap();
        if text != case.text {
            wrong.push((case.name, text, case.text));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[derive(Deserialize)]
struct CookieCases {
    sequences: Vec<Sequence>,
    dates: Vec<(String, Option<i64>)>,
}

#[derive(Deserialize)]
struct Sequence {
    name: String,
    steps: Vec<CookieStep>,
}

#[derive(Deserialize)]
struct CookieStep {
    at_s: i64,
    url: String,
    set_cookie: Option<Vec<String>>,
    cookie: Option<String>,
}

#[test]
fn cookies_are_kept_as_in_the_other_engine() {
    let cases: CookieCases = serde_json::from_str(include_str!("../../../../tests/vectors/cookies.json")).unwrap();
    assert!(cases.sequences.len() > 50 && cases.dates.len() > 20);
    let mut wrong = Vec::new();
    for sequence in cases.sequences {
        let mut jar = Jar::default();
        for step in sequence.steps {
            let (scheme, rest) = step.url.split_once("://").unwrap();
            let (authority, target) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
            let authority = authority.to_ascii_lowercase();
            let host = match authority.strip_prefix('[') {
                Some(address) => address.split(']').next().unwrap(),
                None => authority.split(':').next().unwrap(),
            };
            let place = Place { host, target, is_https: scheme == "https" };
            for line in step.set_cookie.iter().flatten() {
                jar.store(&bytes(line), &place, step.at_s);
            }
            let mut out = Vec::new();
            jar.append(&place, step.at_s, &mut out);
            if let Some(expected) = step.cookie
                && out != bytes(&expected)
            {
                wrong.push((sequence.name.clone(), String::from_utf8_lossy(&out).into_owned(), expected));
            }
        }
    }
    for (text, expected) in cases.dates {
        let line = format!("a=1; Expires={text}");
        let seconds = set_cookie::parse(line.as_bytes(), 0).unwrap().expires;
        if seconds != expected {
            wrong.push((text, format!("{seconds:?}"), format!("{expected:?}")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
