//! Responses of a hostile target: no condition, extract or cookie fails on them, or takes long.

use std::sync::LazyLock;

use crate::user::{Response, UserScope, bytes};
use loadgen::scenario::{Answer, Condition, Extract, Jar, Place};
use proptest::prelude::*;
use serde_json::{Value, json};

fn scope() -> UserScope {
    let user =
        json!({"seed": 1, "iteration": 1, "round": 0, "user": 1, "slots": {}, "rows": [], "secrets": {}, "wall_ns": 0});
    UserScope::new(serde_json::from_value(user).unwrap())
}

fn subjects() -> Vec<Value> {
    let picks = ["first", "last", "random", "all", "count"];
    let texts = [("json", "$.a[0]"), ("json", "$[*].a"), ("json", "$..a"), ("regex", "(a)?.*?x*"), ("header", "x")];
    let picked = texts.iter().flat_map(|(kind, text)| {
        picks.iter().map(move |pick| json!({"kind": kind, "text": text, "pick": pick, "place": 3}))
    });
    picked.chain([json!({"kind": "body"}), json!({"kind": "cookie", "text": "a"})]).collect()
}

/// All of them compiled once: that takes most of the time.
static EVERYTHING: LazyLock<(Vec<Condition>, Vec<Extract>)> = LazyLock::new(|| {
    let operands = [("eq", json!(1)), ("lt", json!("a")), ("contains", json!([1])), ("matches", json!("a+$"))];
    let conditions = subjects().into_iter().flat_map(|subject| {
        operands.clone().map(|(operator, operand)| {
            let written =
                json!({"condition": "comparison", "subject": subject, "operator": operator, "operand": operand});
            Condition::new(&serde_json::from_value(written).unwrap()).unwrap()
        })
    });
    let extracts = subjects().into_iter().map(|subject| {
        let extract = json!({"slot": 0, "subject": subject, "text": ""});
        Extract::new(&serde_json::from_value(extract).unwrap()).unwrap()
    });
    (conditions.collect(), extracts.collect())
});

/// Evaluates everything on a response; the number of values found.
fn evaluate(answer: &Answer<'_>) -> usize {
    let scope = scope();
    let (conditions, extracts) = &*EVERYTHING;
    conditions.iter().filter(|condition| condition.holds(Some(answer), &scope)).count()
        + extracts.iter().filter(|extract| extract.value(answer, &scope).seen().is_some()).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn random_bytes_are_a_response_without_values(raw in prop::collection::vec(any::<u8>(), 0..200), size in 0_u64..300) {
        evaluate(&Answer::of_bytes(200, 1, size, &raw));
    }

    #[test]
    fn bodies_like_json_are_read_or_not(body in r#"[\[\]{}":,0-9.eE\-+ \\uabdnulltrefsé]{0,60}"#, header in "[ -ÿ]{0,30}") {
        let headers = vec![("X".to_owned(), header.clone()), ("Set-Cookie".to_owned(), header)];
        let response = Response { status: 200, time_ns: 0, size: None, headers, body: Some(body.clone()), body_hex: None };
        let raw = response.raw();
        let answer = response.answer(&raw);
        evaluate(&answer);
        // The library refuses one level less, which this body cannot reach.
        let expected = serde_json::from_str::<Value>(&body).ok();
        prop_assert_eq!(answer.json(), expected.as_ref());
    }

    #[test]
    fn any_line_is_a_cookie_or_none(lines in prop::collection::vec("[ -~é\t\u{7f}]{0,40}|a=b; *(Path|Domain|Max-Age|Expires)=[a-z0-9./: -]{0,20}", 0..80), now in any::<i64>()) {
        let place = Place { host: "a.shop.test", target: "/a/b?c", is_https: true };
        let mut jar = Jar::default();
        for line in &lines {
            jar.store(&bytes(line), &place, now);
        }
        let mut out = Vec::new();
        jar.append(&place, now, &mut out);
        let is_text = |byte: &u8| *byte >= 0x20 && *byte != 0x7F || *byte == b'\t';
        prop_assert!(out.iter().all(is_text));
    }
}

#[test]
fn large_and_deep_bodies_are_bounded() {
    let most = 4 * 1024 * 1024;
    for (body, is_json) in [
        ("[".repeat(most), false),
        (format!("{}{}", "[".repeat(128), "]".repeat(128)), true),
        (format!("{}{}", "[".repeat(129), "]".repeat(129)), false),
        (format!("[{}1]", "1,".repeat(most / 2 - 2)), true),
        (format!("{{{}\"a\":1}}", "\"a\":1,".repeat(most / 6 - 2)), true),
        ("\u{e9}".repeat(most / 2 + 1), false),
        ("9".repeat(400), false),
        (format!("[{}]", "9".repeat(300)), true),
    ] {
        let raw = [b"HTTP/1.1 200 OK\r\n\r\n", body.as_bytes()].concat();
        let answer = Answer::of_bytes(200, 1, body.len() as u64, &raw);
        assert_eq!(answer.node().is_some(), is_json, "{}", &body[..4]);
        assert_eq!(answer.text().is_some(), body.len() <= most);
    }
}

#[test]
fn a_jar_has_a_limit() {
    let place = Place { host: "shop.test", target: "/", is_https: false };
    let mut jar = Jar::default();
    for number in 0..1000 {
        let path = "p".repeat(5000);
        jar.store(format!("c{number}={}; Path=/{path}", "v".repeat(4000)).as_bytes(), &place, 0);
    }
    let mut out = Vec::new();
    jar.append(&place, 0, &mut out);
    // 50 cookies; a path that is too long is none.
    assert_eq!(out.split(|byte| *byte == b';').count(), 50);
    assert!(out.len() < 50 * 4096, "{}", out.len());
}
