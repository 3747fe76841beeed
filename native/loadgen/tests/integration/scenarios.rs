//! Plans with scenarios: what is refused, and that nothing in an accepted one is out of range.

use loadgen::plan::{Plan, program::Op};
use loadgen::scenario::Condition;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::common;
use crate::plans::pointers;

fn slot(slot: usize, encoding: &str) -> Value {
    json!({"part": "value", "source": {"source": "slot", "slot": slot}, "filters": [], "encoding": encoding, "is_secret": false})
}

fn comparison(subject: &Value, operator: &str, operand: &Value) -> Value {
    json!({"condition": "comparison", "subject": subject, "operator": operator, "operand": operand, "template": null})
}

/// Log in, list and open twice unless there is no product, with a branch, all kinds of values and a schema.
fn plan() -> Value {
    let mut document = common::plan(80);
    let is_set = comparison(&json!({"kind": "value", "value": slot(1, "raw")}), "exists", &json!(null));
    document["endpoints"] = json!(["login", "open"]);
    document["checks"] = json!([{"name": "accepted", "endpoint": 0}, {"name": "has id", "endpoint": 1}]);
    document["data"] = json!([{"name": "accounts", "columns": ["name", "password"], "rows": 10, "per": "user",
        "pick": "in_order", "path": "accounts.table"}]);
    let login = &mut document["flows"][0]["steps"][0];
    login["body"] = json!([
        {"part": "value", "source": {"source": "data", "table": 0, "column": 1}, "filters": [{"name": "sha256"}], "encoding": "json"},
        {"part": "value", "source": {"source": "uuid", "place": 0}, "filters": [], "encoding": "json"},
        {"part": "value", "source": {"source": "random_int", "low": 1, "high": 6, "place": 2}, "filters": [], "encoding": "raw"},
        {"part": "value", "source": {"source": "random_string", "length": 8, "place": 3}, "filters": [], "encoding": "raw"},
        {"part": "value", "source": {"source": "random_choice", "choices": ["a", "b"], "place": 4}, "filters": [], "encoding": "raw"},
        {"part": "value", "source": {"source": "now", "offset_ns": -1, "format": "iso"}, "filters": [], "encoding": "raw"},
        {"part": "value", "source": {"source": "text", "text": "", "secret_slot": "password"},
            "filters": [{"name": "hmac_sha256", "key": "", "key_slot": "key"}], "encoding": "raw"}
    ]);
    login["extracts"] = json!([
        {"slot": 0, "subject": {"kind": "json", "text": "$.token"}, "text": "$.token"},
        {"slot": 1, "subject": {"kind": "json", "text": "$.items[*].id", "pick": "random", "place": 5}, "text": "…",
            "has_default": true, "default": 7}
    ]);
    login["named_checks"] = json!([{"check": 0, "text": "…", "condition": {"condition": "all", "parts": [
        comparison(&json!({"kind": "status"}), "in", &json!([200, 201])),
        {"condition": "negation", "part": comparison(&json!({"kind": "regex", "text": "(\\d+)"}), "missing", &json!(null))},
        comparison(&json!({"kind": "body"}), "conforms", &json!({"type": "object"})),
        comparison(&json!({"kind": "header", "text": "x"}), "matches", &json!("^a"))
    ]}}]);
    let mut open = login.clone();
    open["endpoint"] = 1.into();
    open["body"] = json!(null);
    open["target"] = json!([{"part": "literal", "text": "/"}, slot(1, "percent")]);
    open["headers"][0]["value"] = json!([slot(0, "header")]);
    open["named_checks"][0]["check"] = 1.into();
    document["flows"][0]["steps"].as_array_mut().unwrap().push(open);
    document["flows"][0]["slots"] = json!([{"name": "token", "is_secret": true}, {"name": "product"}]);
    document["flows"][0]["counters"] = 2.into();
    document["flows"][0]["program"] = json!([
        {"op": "request", "step": 0, "on_error": "end_iteration", "on_fail": "continue"},
        {"op": "unless", "condition": is_set, "to": 8},
        {"op": "request", "step": 1, "on_error": "stop_user", "on_fail": "stop_run"},
        {"op": "think", "distribution": "uniform", "first_ns": 1, "second_ns": 2, "place": 6},
        {"op": "choose", "weights": [1, 2], "to": [5, 6], "place": 8},
        {"op": "jump", "to": 6},
        {"op": "loop", "counter": 0, "times": 2, "to": 2},
        {"op": "loop", "counter": 0, "times": 1, "to": 2},
        {"op": "loop", "counter": 1, "times": 1, "to": 0}
    ]);
    document
}

fn refused(document: &Value) -> String {
    Plan::from_bytes(document.to_string().as_bytes()).map_or_else(|error| error.to_string(), |_| "accepted".to_owned())
}

#[test]
fn a_scenario_is_a_plan() {
    let plan = Plan::from_bytes(plan().to_string().as_bytes()).unwrap();
    assert_eq!(plan.secret_slots(), ["key", "password"]);
}

fn assert_refused(cases: Vec<(&str, Value, &str)>) {
    for (place, value, expected) in cases {
        let mut document = plan();
        *document.pointer_mut(place).unwrap() = value;
        let message = refused(&document);
        assert!(message.starts_with(expected), "{place}: {message}");
    }
}

#[test]
fn checks_and_extracts_refer_to_what_there_is_and_compile() {
    assert_refused(vec![
        ("/flows/0/steps/0/extracts/0/slot", json!(2), "flows[0].steps[0]: the slot of an extract does not exist"),
        (
            "/flows/0/steps/0/extracts/0/subject/text",
            json!("$["),
            "flows[0].steps[0]: an extract: its path cannot be used: ",
        ),
        ("/flows/0/steps/0/extracts/1/subject/place", json!(1 << 20), "flows[0].steps[0]: a place is out of range"),
        ("/flows/0/steps/0/named_checks/0/check", json!(2), "flows[0].steps[0]: a check of it does not exist"),
        (
            "/flows/0/steps/0/named_checks/0/condition/parts/1/part/subject/text",
            json!("("),
            "flows[0].steps[0]: its pattern cannot be used: ",
        ),
        (
            "/flows/0/steps/0/named_checks/0/condition/parts/3/operand",
            json!("(?=a)"),
            "flows[0].steps[0]: its pattern cannot be used: ",
        ),
        (
            "/flows/0/steps/0/named_checks/0/condition/parts/3/operand",
            json!(1),
            "flows[0].steps[0]: the operand of `matches` is not a text",
        ),
        (
            "/flows/0/steps/0/named_checks/0/condition/parts/0/operand",
            json!(1),
            "flows[0].steps[0]: the operand of `in` is not a list",
        ),
        (
            "/flows/0/steps/0/named_checks/0/condition/parts/2/operand",
            json!({"type": "thing"}),
            "flows[0].steps[0]: its schema cannot be used: ",
        ),
        (
            "/flows/0/steps/0/named_checks/0/condition/parts/2/operand",
            json!({"$ref": "https://example.test/order.json"}),
            "flows[0].steps[0]: its schema cannot be used: ",
        ),
        (
            "/flows/0/steps/0/named_checks/0/condition/parts/2/operand",
            json!({"$ref": "file:///etc/passwd"}),
            "flows[0].steps[0]: its schema cannot be used: ",
        ),
        (
            "/flows/0/steps/0/named_checks/0/condition/parts/2/operand",
            json!({"allOf": vec![json!({"$ref": "#/$defs/a"}); 1001]}),
            "flows[0].steps[0]: its schema has more than 1000 references",
        ),
    ]);
}

#[test]
fn values_refer_to_what_there_is_and_fit_their_place() {
    assert_refused(vec![
        (
            "/flows/0/steps/0/body/0/source/table",
            json!(1),
            "flows[0].steps[0]: the table or column of a value does not exist",
        ),
        (
            "/flows/0/steps/0/body/0/source/column",
            json!(2),
            "flows[0].steps[0]: the table or column of a value does not exist",
        ),
        ("/flows/0/steps/0/body/1/source/place", json!((1 << 20) - 1), "flows[0].steps[0]: a place is out of range"),
        ("/flows/0/steps/0/body/2/source/low", json!(7), "flows[0].steps[0]: the range of a random number is empty"),
        (
            "/flows/0/steps/0/body/3/source/length",
            json!(10_001),
            "flows[0].steps[0]: a random text has more than 10,000 characters",
        ),
        (
            "/flows/0/steps/0/body/4/source/choices",
            json!([]),
            "flows[0].steps[0]: a random choice has nothing to choose",
        ),
        (
            "/flows/0/steps/1/target/1/encoding",
            json!("json_value"),
            "flows[0].steps[1]: the encoding of a value does not fit its place",
        ),
        (
            "/flows/0/steps/1/headers/0/value/0/encoding",
            json!("json_value"),
            "flows[0].steps[1]: the encoding of a value does not fit its place",
        ),
        ("/flows/0/steps/1/target/1/source/slot", json!(2), "flows[0].steps[1]: the slot of a value does not exist"),
    ]);
}

#[test]
fn names_and_tables_are_in_range() {
    assert_refused(vec![
        ("/checks/0/endpoint", json!(2), "checks: an endpoint of one does not exist"),
        ("/checks", json!(vec![json!({"name": "a", "endpoint": 0}); 1001]), "checks: there are more than 1,000"),
        ("/data/0/rows", json!(0), "data[0]: its number of rows is out of range"),
        ("/data/0/columns", json!([]), "data[0]: its number of columns is out of range"),
        ("/data/0/path", json!(""), "data[0]: it has no file"),
    ]);
}

#[test]
fn operations_are_in_range() {
    assert_refused(vec![
        ("/flows/0/program/0/step", json!(2), "flows[0].program[0]: its step does not exist"),
        ("/flows/0/program/1/to", json!(1), "flows[0].program[1]: it does not continue later in the program"),
        ("/flows/0/program/1/to", json!(10), "flows[0].program[1]: it does not continue later in the program"),
        (
            "/flows/0/program/1/condition/subject",
            json!({"kind": "status"}),
            "flows[0].program[1]: its condition needs a response",
        ),
        ("/flows/0/program/1/condition/subject/value", json!(null), "flows[0].program[1]: it has no value"),
        ("/flows/0/program/3/second_ns", json!(0), "flows[0].program[3]: its range of times is empty"),
        (
            "/flows/0/program/3/second_ns",
            json!(3_600_000_000_001_u64),
            "flows[0].program[3]: it thinks for more than one hour",
        ),
        ("/flows/0/program/4/weights", json!([1]), "flows[0].program[4]: its weights do not fit its branches"),
        ("/flows/0/program/4/weights", json!([0, 1]), "flows[0].program[4]: a weight is 0, or they add up to too much"),
        (
            "/flows/0/program/4/weights",
            json!([u64::MAX, 1]),
            "flows[0].program[4]: a weight is 0, or they add up to too much",
        ),
        ("/flows/0/program/6/to", json!(7), "flows[0].program[6]: it does not jump back"),
        ("/flows/0/program/6/to", json!(4), "flows[0].program[6]: its loop neither sends nor thinks"),
        ("/flows/0/program/6/counter", json!(2), "flows[0].program[6]: its counter does not exist"),
        ("/flows/0/program/6/times", json!(0), "flows[0].program[6]: its number of rounds is out of range"),
        ("/flows/0/program/7/times", json!(2), "flows[0].program[7]: its counter is used before it"),
        ("/flows/0/counters", json!(1001), "flows[0]: it has more than 1,000 counters"),
        (
            "/flows/0/program",
            json!([{"op": "think", "distribution": "fixed", "first_ns": 1, "second_ns": 0, "place": 0}]),
            "flows[0]: its program sends no request",
        ),
    ]);
}

#[test]
fn loops_in_loops_have_a_limit_together() {
    let mut document = plan();
    let program = &mut document["flows"][0]["program"];
    program[6]["times"] = 1_000_000.into();
    program[8]["times"] = 1000.into();
    assert_eq!(refused(&document), "accepted");
    document["flows"][0]["program"][8]["times"] = 1001.into();
    assert_eq!(refused(&document), "flows[0].program[6]: it has more than 1,000,000,000 rounds in one iteration");
}

/// Runs a program with decisions by `bits`, at most 10,000 operations; true if it ended.
fn ends(plan: &Plan, flow: usize, bits: u64) -> bool {
    let flow = &plan.flows[flow];
    let (mut counters, mut at, mut bits) = (vec![0; flow.counters as usize], 0, bits);
    for _ in 0..10_000 {
        bits = bits.rotate_left(7).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        at = match flow.program.get(at) {
            None => return true,
            Some(Op::Request { step, .. }) => {
                assert!(flow.steps[*step as usize].endpoint < plan.endpoints.len());
                at + 1
            }
            Some(Op::Think { distribution, first_ns, second_ns, .. }) => {
                let think = loadgen::random::think_ns(*distribution, *first_ns, *second_ns, bits, !bits);
                assert!(think <= 3_600_000_000_000);
                at + 1
            }
            Some(Op::Jump { to }) => *to as usize,
            Some(Op::Unless { condition, to }) => {
                Condition::new(condition).unwrap();
                if bits & 1 == 0 { at + 1 } else { *to as usize }
            }
            Some(Op::Loop { counter, times, to }) => {
                let counter = &mut counters[*counter as usize];
                *counter += 1;
                if *counter < *times {
                    *to as usize
                } else {
                    *counter = 0;
                    at + 1
                }
            }
            Some(Op::Choose { weights, to, .. }) => to[loadgen::random::weighted_index(bits, weights)] as usize,
        };
    }
    false
}

fn odd_values() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0_u64..10).prop_map(|number| json!(number)),
        Just(json!(null)),
        Just(json!(-1)),
        Just(json!(u64::MAX)),
        Just(json!([])),
        Just(json!({})),
        Just(json!("$..*")),
        Just(json!("a\r\nb")),
        Just(json!({"op": "loop", "counter": 0, "times": 3, "to": 0})),
        Just(json!({"op": "jump", "to": 7})),
        any::<u64>().prop_map(|number| json!(number)),
        "\\PC{0,20}".prop_map(|text| json!(text)),
    ]
}

proptest! {
    #[test]
    fn a_scenario_with_anything_anywhere_is_refused_or_ends(
        changes in prop::collection::vec((any::<prop::sample::Index>(), odd_values()), 1..4),
        bits in any::<u64>(),
    ) {
        let mut document = plan();
        for (place, value) in changes {
            let mut places = Vec::new();
            pointers(&document["flows"][0], "/flows/0", &mut places);
            if let Some(target) = document.pointer_mut(place.get::<String>(&places)) {
                *target = value;
            }
        }
        if let Ok(plan) = Plan::from_bytes(document.to_string().as_bytes()) {
            let is_short = |op: &Op| !matches!(op, Op::Loop { times, .. } if *times > 10);
            prop_assert!(ends(&plan, 0, bits) || !plan.flows[0].program.iter().all(is_short));
        }
    }

    #[test]
    fn an_accepted_program_ends(ops in prop::collection::vec((0_u8..6, 0_u32..12, 0_u32..12, 1_u64..4), 1..12), bits in any::<u64>()) {
        let mut document = plan();
        let request = document["flows"][0]["program"][0].clone();
        let unless = document["flows"][0]["program"][1].clone();
        let program: Vec<Value> = ops
            .into_iter()
            .map(|(kind, first, second, times)| match kind {
                0 => json!({"op": "jump", "to": first}),
                1 => json!({"op": "loop", "counter": first % 3, "times": times, "to": second}),
                2 => json!({"op": "choose", "weights": [1, 1], "to": [first, second], "place": 0}),
                3 => {
                    let mut unless = unless.clone();
                    unless["to"] = first.into();
                    unless
                }
                _ => request.clone(),
            })
            .collect();
        document["flows"][0]["program"] = program.into();
        document["flows"][0]["counters"] = 3.into();
        if let Ok(plan) = Plan::from_bytes(document.to_string().as_bytes()) {
            prop_assert!(ends(&plan, 0, bits));
        }
    }
}
