//! Hostile plans: an error, or a plan that can be scheduled, and never a panic or a wait.

use loadgen::plan::{Plan, PlanError};
use loadgen::schedule::{Next, Shard, Timetable};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::common;

/// Every place in a document.
pub fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, inner)| pointers(inner, &format!("{at}/{name}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, inner)| pointers(inner, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

fn odd_values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        Just(json!(0)),
        Just(json!(-1)),
        Just(json!(1e300)),
        Just(json!(0.1)),
        Just(json!(u64::MAX)),
        Just(json!([])),
        Just(json!({})),
        Just(json!("")),
        Just(json!("a\r\nb")),
        Just(json!("open")),
        Just(json!("2")),
        Just(json!("poisson")),
        Just(json!("sequential")),
        any::<u64>().prop_map(|number| json!(number)),
        any::<f64>().prop_map(|number| json!(number)),
        "\\PC{0,20}".prop_map(|text| json!(text)),
    ]
}

proptest! {
    #[test]
    fn a_plan_with_anything_anywhere_is_refused_or_runs(changes in prop::collection::vec((any::<prop::sample::Index>(), odd_values()), 1..4)) {
        let mut document = common::plan(80);
        for (place, value) in changes {
            let mut places = Vec::new();
            pointers(&document, "", &mut places);
            if let Some(target) = document.pointer_mut(place.get::<String>(&places)) {
                *target = value;
            }
        }
        if let Ok(plan) = Plan::from_bytes(document.to_string().as_bytes()) {
            let mut timetable = Timetable::new(&plan, Shard::all(&plan, 0));
            let mut last = 0;
            for _ in 0..200 {
                match timetable.peek() {
                    Next::Arrival(arrival) => {
                        prop_assert!(arrival.intended >= last);
                        last = arrival.intended;
                        prop_assert!(timetable.flow(arrival.number, arrival.warm_up) < plan.flows.len());
                        timetable.advance();
                    }
                    Next::LegOver(at) => timetable.open_leg(at, at + 1),
                    Next::Over(..) => break,
                }
            }
            let _ = (timetable.users(last), timetable.next_rise(0, last), timetable.phase(last), timetable.offered(0, last));
        }
    }

    #[test]
    fn random_bytes_are_no_plan(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Plan::from_bytes(&bytes).is_err());
    }

    #[test]
    fn a_plan_that_was_cut_is_no_plan(cut in any::<prop::sample::Index>()) {
        let whole = common::plan(80).to_string();
        prop_assert!(Plan::from_bytes(&whole.as_bytes()[..cut.index(whole.len())]).is_err());
    }
}

#[test]
fn a_plan_from_another_time_is_refused_by_its_format_first() {
    let error = Plan::from_bytes(br#"{"format": 7, "what": "ever"}"#).unwrap_err();
    assert_eq!(error, PlanError::Format(7));
    assert_eq!(error.to_string(), "the plan has format 7, this engine reads format 2");
}

#[test]
fn what_cannot_be_run_is_named() {
    let mut document = common::plan(80);
    document["needs"] = json!(["telepathy"]);
    let refused = |document: &Value| Plan::from_bytes(document.to_string().as_bytes()).unwrap_err().to_string();
    assert_eq!(refused(&document), "the native engine cannot do this: telepathy");
    let mut document = common::plan(80);
    document["flows"][0]["steps"][0]["headers"][0]["value"][0]["text"] = "a\r\nX: y".into();
    assert_eq!(refused(&document), "flows[0].steps[0]: a header's value has a control character");
}
