//! Conditions and extracts on whole responses.

use serde_json::json;

use super::*;
use crate::plan::program;

/// Variables of a test: slot i is `slots[i]`.
pub(crate) struct TestScope {
    pub(crate) slots: Vec<Value>,
    pub(crate) draw: u64,
}

static UNSET: Value = Value::Unset;

impl Scope for TestScope {
    fn slot(&self, slot: usize) -> &Value {
        self.slots.get(slot).unwrap_or(&UNSET)
    }

    fn cell(&self, _table: usize, _column: usize, _place: u64) -> Value {
        Value::Unset
    }

    fn user(&self) -> u64 {
        1
    }

    fn iteration(&self) -> u64 {
        2
    }

    fn draw(&self, place: u64) -> u64 {
        self.draw.wrapping_add(place)
    }

    fn values(&self) -> Values {
        Values { seed: 42, number: 7, wall_ns: 1_769_862_896_789_012_345 }
    }

    fn secret(&self, slot: &str) -> &str {
        if slot == "key" { "secret" } else { "" }
    }
}

const RESPONSE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: application/json\r\nSet-Cookie: id=1; Path=/\r\nset-cookie: id=\"2\"\r\nX-A: one\r\nX-A:\r\n two\r\nContent-Length: 61\r\n\r\n{\"items\": [{\"id\": 17}, {\"id\": \"b\"}], \"n\": 1e2, \"state\": null}";

fn answer() -> Answer<'static> {
    Answer::of_bytes(200, 1_500_000, 61, RESPONSE)
}

fn subject(written: &serde_json::Value) -> Subject {
    Subject::new(&serde_json::from_value(written.clone()).unwrap()).unwrap()
}

fn condition(written: &serde_json::Value) -> Condition {
    Condition::new(&serde_json::from_value::<program::Condition>(written.clone()).unwrap()).unwrap()
}

#[test]
fn a_subject_has_the_value_of_the_response() {
    let scope = TestScope { slots: vec![Value::Text("x".to_owned())], draw: u64::MAX };
    for (written, expected) in [
        (json!({"kind": "status"}), Some("200")),
        (json!({"kind": "time"}), Some("1500000")),
        (json!({"kind": "size"}), Some("61")),
        (json!({"kind": "header", "text": "x-a"}), Some("one")),
        (json!({"kind": "header", "text": "X-a", "pick": "last"}), Some("two")),
        (json!({"kind": "header", "text": "x-a", "pick": "all"}), Some("[\"one\",\"two\"]")),
        (json!({"kind": "header", "text": "x-b"}), None),
        (json!({"kind": "header", "text": "x-b", "pick": "count"}), Some("0")),
        (json!({"kind": "cookie", "text": "id"}), Some("\"2\"")),
        (json!({"kind": "cookie", "text": "ID"}), None),
        (json!({"kind": "json", "text": "$.items[0].id"}), Some("17")),
        (json!({"kind": "json", "text": "$['items'][*].id", "pick": "random"}), Some("b")),
        (json!({"kind": "json", "text": "$..id", "pick": "count"}), Some("2")),
        (json!({"kind": "json", "text": "$.n"}), Some("100.0")),
        (json!({"kind": "json", "text": "$.state"}), Some("null")),
        (json!({"kind": "json", "text": "$.stock"}), None),
        (json!({"kind": "regex", "text": "\"id\": (\\d+)"}), Some("17")),
        (json!({"kind": "regex", "text": "\"(?P<x>i)?d\"|n(z)?", "pick": "all"}), Some("[\"i\",\"i\",\"n\",\"n\"]")),
        (
            json!({"kind": "value", "value": {"part": "value", "source": {"source": "slot", "slot": 0}, "filters": [{"name": "sha256"}, {"name": "upper"}], "encoding": "raw"}}),
            Some("2D711642B726B04401627CA9FBAC32F5C8530FB1903CC4DB02258717921A4881"),
        ),
    ] {
        let (subject, answer) = (subject(&written), answer());
        let seen = subject.read(Some(&answer), &scope);
        assert_eq!(seen.as_ref().map(Seen::text).as_deref(), expected, "{written}");
    }
}

#[test]
fn a_condition_compares_a_subject() {
    let scope = TestScope { slots: vec![Value::Text("17".to_owned())], draw: 0 };
    let slot = json!({"kind": "value", "value": {"part": "value", "source": {"source": "slot", "slot": 0}, "filters": [], "encoding": "raw"}});
    let id = json!({"kind": "json", "text": "$.items[0].id"});
    let unset = json!({"kind": "json", "text": "$.stock"});
    let body = json!({"kind": "body"});
    for (subject, operator, operand, expected) in [
        (&id, "eq", json!(17), true),
        (&id, "eq", json!(17.0), true),
        (&slot, "eq", json!(17), true),
        (&slot, "lt", json!(100), true),
        (&slot, "gt", json!("100"), false),
        (&id, "in", json!([1, 17]), true),
        (&id, "not_in", json!([1, 17]), false),
        (&unset, "ne", json!(1), false),
        (&unset, "missing", json!(null), true),
        (&unset, "exists", json!(null), false),
        (&body, "contains", json!("items"), true),
        (&body, "matches", json!("^\\{.*\\}$"), true),
        (&body, "conforms", json!({"type": "object", "required": ["items"]}), true),
        (&body, "conforms", json!({"type": "string"}), false),
    ] {
        let written = json!({"condition": "comparison", "subject": subject, "operator": operator, "operand": operand});
        assert_eq!(condition(&written).holds(Some(&answer()), &scope), expected, "{written}");
        let negated = json!({"condition": "negation", "part": written});
        assert_eq!(condition(&negated).holds(Some(&answer()), &scope), !expected, "{negated}");
    }
}

/// The session of a user with 10 variables and 10 cookies of 100 bytes must stay far below 8 KiB.
#[test]
fn a_user_takes_little_memory() {
    let place = Place { host: "www.shop.test", target: "/", is_https: true };
    let mut jar = Jar::default();
    for number in 0..10 {
        jar.store(format!("c{number}={}", "v".repeat(100)).as_bytes(), &place, 0);
    }
    assert!(10 * size_of::<Value>() + jar.memory() < 4096, "{} {}", size_of::<Value>(), jar.memory());
}
