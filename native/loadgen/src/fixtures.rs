//! Plans for unit tests.

use serde_json::{Value, json};

use crate::plan::Plan;

/// A closed plan with one user, one endpoint and no end, after `change`.
pub(crate) fn plan(change: impl FnOnce(&mut Value)) -> Plan {
    let mut document = json!({
        "format": 2, "name": "n", "seed": 1, "endpoints": ["e"],
        "origins": [{"scheme": "http", "host": "127.0.0.1", "port": 80, "addresses": ["127.0.0.1"]}],
        "flows": [{"name": "e", "weight": 1, "steps": [{
            "endpoint": 0, "origin": 0, "method": "GET", "target": [{"part": "literal", "text": "/"}],
            "headers": [], "body": null, "expected_statuses": [[200, 200]], "checks": [], "timeout_ns": 1000}]}],
        "lanes": [{"name": "n", "flows": [0], "selection": "round_robin",
            "load": {"model": "closed", "segments": [{"start": 1.0, "end": 1.0, "duration_ns": null}],
            "warm_up_ns": 0, "warm_up_level": 0.0, "arrival": "even", "on_saturation": "queue",
            "catch_up": "full", "catch_up_max_ns": 1000, "max_in_flight": null, "max_rate": null},
            "total": null, "duration_ns": null}],
        "graceful_stop_ns": 100
    });
    change(&mut document);
    Plan::from_bytes(document.to_string().as_bytes()).unwrap()
}

/// An operation of a program: request `step`, as the compiler writes it without `on_fail`.
pub(crate) fn request(step: u32) -> Value {
    json!({"op": "request", "step": step, "on_error": "end_iteration", "on_fail": "continue"})
}

/// Gives the plan `count` lanes like its first, each with a flow of its own.
pub(crate) fn lanes(document: &mut Value, count: usize) {
    let (flow, lane) = (document["flows"][0].clone(), document["lanes"][0].clone());
    document["flows"] = vec![flow; count].into();
    let lanes = (0..count).map(|index| {
        let mut lane = lane.clone();
        lane["flows"] = json!([index]);
        lane
    });
    document["lanes"] = lanes.collect();
}

/// Adds two steps to the plan's flow, each with a separate endpoint.
pub(crate) fn three_steps(document: &mut Value) {
    let step = document["flows"][0]["steps"][0].clone();
    for endpoint in 1..3 {
        let mut step = step.clone();
        step["endpoint"] = endpoint.into();
        document["flows"][0]["steps"].as_array_mut().unwrap().push(step);
    }
    document["endpoints"] = json!(["a", "b", "c"]);
}
