//! Several loads side by side: each lane has its own arrivals, numbers, total and end.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::common::{self, Ran};
use serde_json::{Value, json};

const MILLISECOND: u64 = 1_000_000;

/// By flow: the numbers of the iterations that the target has received.
type Numbers = Arc<Mutex<BTreeMap<String, Vec<u64>>>>;

/// A server that answers every request and writes down the flow and the number in its path.
fn server() -> (u16, Numbers) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let numbers = Numbers::default();
    let seen = Arc::clone(&numbers);
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let seen = Arc::clone(&seen);
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    let request = String::from_utf8_lossy(&buffer[..count]).into_owned();
                    let path = request.split(' ').nth(1).unwrap();
                    let (flow, number) = path[1..].split_once('/').unwrap();
                    seen.lock().unwrap().entry(flow.to_owned()).or_default().push(number.parse().unwrap());
                    if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
                        return;
                    }
                }
            });
        }
    });
    (port, numbers)
}

/// A plan with one lane for each load, and one flow for each lane.
fn plan(port: u16, lanes: &[Value]) -> Value {
    let mut plan = common::plan(port);
    plan["endpoints"] = (0..lanes.len()).map(|index| json!(format!("e{index}"))).collect();
    let (flow, lane) = (plan["flows"][0].clone(), plan["lanes"][0].clone());
    let flows = (0..lanes.len()).map(|index| {
        let mut flow = flow.clone();
        flow["steps"][0]["endpoint"] = index.into();
        flow["steps"][0]["target"][0]["text"] = format!("/e{index}/").into();
        flow
    });
    plan["flows"] = flows.collect();
    let lanes = lanes.iter().enumerate().map(|(index, fields)| {
        let mut lane = lane.clone();
        lane["name"] = format!("lane {index}").into();
        lane["flows"] = json!([index]);
        lane["total"] = Value::Null;
        for (name, value) in fields.as_object().unwrap() {
            match name.as_str() {
                "rate" | "users" => {
                    lane["load"]["model"] = if name == "rate" { "open".into() } else { "closed".into() };
                    lane["load"]["segments"][0] = json!({"start": value, "end": value, "duration_ns": null});
                }
                "total" | "duration_ns" | "start_ns" => lane[name] = value.clone(),
                _ => lane["load"][name] = value.clone(),
            }
        }
        lane
    });
    plan["lanes"] = lanes.collect();
    plan
}

fn started(ran: &Ran, endpoint: u64, warm_up: bool) -> u64 {
    let parts = ran.intervals.iter().flat_map(|interval| interval["endpoints"].as_array().unwrap());
    parts
        .filter(|part| part["endpoint"] == endpoint && part["warm_up"] == warm_up)
        .filter_map(|part| part["started"].as_u64())
        .sum()
}

fn sorted(numbers: &Numbers, flow: &str) -> Vec<u64> {
    let mut taken = numbers.lock().unwrap().get(flow).cloned().unwrap_or_default();
    taken.sort_unstable();
    taken
}

#[test]
fn every_lane_has_its_own_arrivals_numbers_and_end() {
    let (port, numbers) = server();
    let plan = plan(
        port,
        &[
            json!({"rate": 400.0, "duration_ns": 500 * MILLISECOND}),
            json!({"rate": 100.0, "total": 40, "start_ns": 200 * MILLISECOND, "warm_up_ns": 100 * MILLISECOND,
                "warm_up_level": 50.0}),
            json!({"users": 3.0, "total": 60}),
        ],
    );
    let ran = common::finish(&common::start(&plan, Some(2)));
    assert_eq!(ran.report.threads, 6);
    assert_eq!(sorted(&numbers, "e0"), (1..=200).collect::<Vec<u64>>());
    assert_eq!(sorted(&numbers, "e1"), (1..=45).collect::<Vec<u64>>());
    assert_eq!(sorted(&numbers, "e2"), (1..=60).collect::<Vec<u64>>());
    assert_eq!((started(&ran, 1, true), started(&ran, 1, false)), (5, 40));
    let lanes = &ran.report.lanes;
    let shape: Vec<(&str, u64, &str)> =
        lanes.iter().map(|lane| (lane.name.as_str(), lane.window_start_ns / MILLISECOND, lane.stop_reason)).collect();
    assert_eq!(shape, [("lane 0", 0, "duration"), ("lane 1", 300, "total"), ("lane 2", 0, "total")]);
    assert_eq!((lanes[0].window_end_ns, lanes[1].window_end_ns), (500 * MILLISECOND, 700 * MILLISECOND));
    assert_eq!((ran.report.window_start_ns, ran.report.stop_reason), (0, "total"));
    assert_eq!(ran.report.window_end_ns, lanes[2].window_end_ns.max(700 * MILLISECOND));
    let offered: f64 = ran.intervals.iter().filter_map(|interval| interval["offered"].as_f64()).sum();
    assert!((offered - 245.0).abs() < 1e-6, "{offered}");
}

#[test]
fn a_stop_ends_every_lane_even_one_that_has_not_begun() {
    let (port, numbers) = server();
    let plan = plan(
        port,
        &[
            json!({"rate": 200.0, "duration_ns": 60_000 * MILLISECOND}),
            json!({"users": 2.0, "max_rate": 100.0, "duration_ns": 60_000 * MILLISECOND}),
            json!({"users": 2.0, "duration_ns": 1000 * MILLISECOND, "start_ns": 60_000 * MILLISECOND}),
            json!({"rate": 10.0, "duration_ns": 1000 * MILLISECOND, "start_ns": 60_000 * MILLISECOND}),
        ],
    );
    let run = common::start(&plan, None);
    while sorted(&numbers, "e0").len() < 20 || sorted(&numbers, "e1").len() < 5 {
        thread::sleep(Duration::from_millis(1));
    }
    run.stop();
    let ran = common::finish(&run);
    assert_eq!(ran.report.stop_reason, "stopped");
    assert!(ran.report.lanes.iter().all(|lane| lane.stop_reason == "stopped"));
    assert_eq!((started(&ran, 2, false), started(&ran, 3, false)), (0, 0));
    for (endpoint, flow) in [(0, "e0"), (1, "e1")] {
        let taken = sorted(&numbers, flow);
        assert_eq!(started(&ran, endpoint, false), taken.len() as u64);
        assert_eq!(taken, (1..=taken.len() as u64).collect::<Vec<u64>>());
    }
}

#[test]
fn the_phase_is_that_of_the_longest_lane_in_measured_load() {
    let (port, _) = server();
    let plan = plan(
        port,
        &[
            json!({"rate": 50.0, "duration_ns": 900 * MILLISECOND, "warm_up_ns": 300 * MILLISECOND,
                "warm_up_level": 10.0}),
            json!({"max_rate": 20.0, "start_ns": 2000 * MILLISECOND, "segments": [
                {"start": 1.0, "end": 9.0, "duration_ns": 1500 * MILLISECOND}]}),
        ],
    );
    let ran = common::run(&plan);
    let phases: Vec<&str> = ran.intervals.iter().map(|interval| interval["phase"].as_str().unwrap()).collect();
    // Nothing is due between 1.2 s and 2 s, and that time is part of the measured window.
    assert_eq!(phases, ["load", "load", "ramp_up", "ramp_up"]);
    assert_eq!((ran.report.window_start_ns, ran.report.window_end_ns), (300 * MILLISECOND, 3500 * MILLISECOND));
    assert_eq!(ran.report.stop_reason, "stages");
}

#[test]
fn lanes_that_do_not_fit_their_flows_are_refused() {
    let refusal = |change: fn(&mut Value)| {
        let mut plan = plan(80, &[json!({"rate": 1.0, "total": 1}), json!({"users": 1.0, "total": 1})]);
        change(&mut plan);
        loadgen::plan::Plan::from_bytes(plan.to_string().as_bytes()).unwrap_err().to_string()
    };
    assert_eq!(refusal(|plan| plan["lanes"] = json!([])), "lanes: there is none");
    assert_eq!(refusal(|plan| plan["lanes"][1]["flows"] = json!([])), "lanes[1]: it has no flow");
    assert_eq!(refusal(|plan| plan["lanes"][1]["flows"] = json!([2])), "lanes[1]: a flow of it does not exist");
    assert_eq!(refusal(|plan| plan["lanes"][1]["flows"] = json!([0])), "lanes[1]: a flow of it belongs to two lanes");
    assert_eq!(refusal(|plan| plan["lanes"] = json!([plan["lanes"][0]])), "flows: one belongs to no lane");
    assert_eq!(refusal(|plan| plan["lanes"][1]["total"] = json!(0)), "lanes[1]: its total is 0");
    assert_eq!(
        refusal(|plan| plan["lanes"][1]["load"]["max_rate"] = json!(-1.0)),
        "lanes[1].load.max_rate: it is out of range"
    );
}
