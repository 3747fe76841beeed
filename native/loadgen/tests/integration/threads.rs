//! Several load threads are one run: numbers, totals and seconds come out as if there were one.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use loadgen::plan::Plan;
use loadgen::schedule::{Shard, Timetable};
use serde_json::{Value, json};

use crate::common;

/// What stands before the number of a target with a flow.
const FLOW: u64 = 1_000_000_000;

/// `17` as 17, `e1/17` as the seventeenth of flow 1.
fn noted(target: &str) -> u64 {
    let (flow, number) = target.rsplit_once('/').unwrap_or(("e0", target));
    flow[1..].parse::<u64>().unwrap() * FLOW + number.parse::<u64>().unwrap()
}

/// Answers every request, and notes the numbers in their targets.
fn server() -> (u16, Arc<Mutex<Vec<u64>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let numbers = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&numbers);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let record = Arc::clone(&record);
            thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut stream = stream;
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|count| count > 0) {
                    if let Some(target) = line.strip_prefix("GET /") {
                        record.lock().unwrap().push(noted(target.split(' ').next().unwrap()));
                    }
                    if line == "\r\n" && stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
                        return;
                    }
                    line.clear();
                }
            });
        }
    });
    (port, numbers)
}

#[test]
fn numbers_are_exactly_one_to_started_over_threads() {
    let (port, numbers) = server();
    let ran = common::finish(&common::start(&common::closed(port, 12, 3000), Some(3)));
    assert_eq!(ran.report.threads, 3);
    assert_eq!((ran.sum("started"), ran.sum("outcomes.ok")), (3000, 3000));
    assert_eq!(ran.generated("dials"), 12);
    let seen: BTreeSet<u64> = numbers.lock().unwrap().iter().copied().collect();
    assert_eq!(seen, (1..=3000).collect());
    assert_eq!(ran.report.stop_reason, "total");
}

#[test]
fn an_open_load_is_dealt_out_without_a_gap() {
    let (port, numbers) = server();
    let mut plan = common::plan(port);
    plan["lanes"][0]["load"]["model"] = "open".into();
    plan["lanes"][0]["load"]["segments"][0] = json!({"start": 2000.0, "end": 2000.0, "duration_ns": null});
    plan["lanes"][0]["total"] = 1000.into();
    let ran = common::finish(&common::start(&plan, Some(3)));
    assert_eq!((ran.sum("started"), ran.sum("outcomes.ok")), (1000, 1000));
    let seen: BTreeSet<u64> = numbers.lock().unwrap().iter().copied().collect();
    assert_eq!(seen, (1..=1000).collect());
    assert_eq!(ran.report.window_end_ns, 500_000_000);
}

#[test]
fn users_of_a_ramp_come_over_all_threads() {
    let (port, _) = server();
    let mut plan = common::plan(port);
    plan["lanes"][0]["load"]["segments"] = json!([
        {"start": 0.0, "end": 9.0, "duration_ns": 400_000_000},
        {"start": 9.0, "end": 9.0, "duration_ns": 600_000_000}
    ]);
    plan["lanes"][0]["total"] = json!(null);
    let ran = common::finish(&common::start(&plan, Some(2)));
    assert_eq!(ran.generated("dials"), 9);
    assert_eq!(ran.sum("started"), ran.sum("outcomes.ok"));
    assert_eq!((ran.report.stop_reason, ran.report.window_end_ns), ("stages", 1_000_000_000));
}

#[test]
fn poisson_arrivals_are_dealt_out_without_a_gap_and_warm_up_with_them() {
    let (port, numbers) = server();
    let mut plan = common::plan(port);
    plan["lanes"][0]["load"]["model"] = "open".into();
    plan["lanes"][0]["load"]["arrival"] = "poisson".into();
    plan["lanes"][0]["load"]["segments"][0] = json!({"start": 2000.0, "end": 2000.0, "duration_ns": null});
    plan["lanes"][0]["load"]["warm_up_ns"] = 100_000_000.into();
    plan["lanes"][0]["load"]["warm_up_level"] = 500.0.into();
    plan["lanes"][0]["total"] = 600.into();
    let ran = common::finish(&common::start(&plan, Some(4)));
    assert_eq!((ran.report.threads, ran.sum("started"), ran.sum("outcomes.ok")), (4, 650, 650));
    let seen: BTreeSet<u64> = numbers.lock().unwrap().iter().copied().collect();
    assert_eq!(seen, (1..=650).collect());
}

/// The plan with `count` flows, each to an endpoint of its own.
fn with_flows(plan: &mut Value, count: usize) {
    plan["endpoints"] = (0..count).map(|index| json!(format!("e{index}"))).collect();
    let flow = plan["flows"][0].clone();
    let flows = (0..count).map(|index| {
        let mut flow = flow.clone();
        flow["steps"][0]["endpoint"] = index.into();
        flow["steps"][0]["target"][0]["text"] = format!("/e{index}/").into();
        flow
    });
    plan["flows"] = flows.collect();
    plan["lanes"][0]["flows"] = (0..count).collect();
}

#[test]
fn flows_go_by_number_whichever_thread_takes_it() {
    for selection in ["round_robin", "weighted"] {
        let (port, numbers) = server();
        let mut plan = common::closed(port, 9, 2000);
        with_flows(&mut plan, 3);
        plan["lanes"][0]["selection"] = selection.into();
        plan["flows"][1]["weight"] = 5.into();
        let ran = common::finish(&common::start(&plan, Some(3)));
        assert_eq!((ran.report.threads, ran.sum("outcomes.ok")), (3, 2000));
        let parsed = Plan::from_bytes(plan.to_string().as_bytes()).unwrap();
        let timetable = Timetable::new(&parsed, Shard::all(&parsed, 0));
        let seen = numbers.lock().unwrap();
        // The target's record holds flow and number as one: `/e1/17` is 1_000_000_017.
        let flows: BTreeMap<u64, u64> = seen.iter().map(|seen| (seen % FLOW, seen / FLOW)).collect();
        assert_eq!(flows.len(), 2000);
        assert!(flows.iter().all(|(number, flow)| timetable.flow(*number, false) as u64 == *flow), "{selection}");
    }
}

#[test]
fn one_thread_holds_the_barriers_of_a_sequence() {
    let (port, numbers) = server();
    let mut plan = common::closed(port, 9, 900);
    with_flows(&mut plan, 3);
    plan["lanes"][0]["selection"] = "sequential".into();
    let ran = common::finish(&common::start(&plan, Some(3)));
    assert_eq!((ran.report.threads, ran.sum("outcomes.ok")), (1, 900));
    let flows: Vec<u64> = numbers.lock().unwrap().iter().map(|seen| seen / FLOW).collect();
    assert_eq!(flows, [[0; 300], [1; 300], [2; 300]].concat());
}

#[test]
fn threads_share_one_limit_of_starts_per_second() {
    let (port, numbers) = server();
    let mut plan = common::closed(port, 12, 300);
    plan["lanes"][0]["load"]["max_rate"] = 1000.0.into();
    let ran = common::finish(&common::start(&plan, Some(3)));
    assert_eq!((ran.report.threads, ran.sum("outcomes.ok"), numbers.lock().unwrap().len()), (3, 300, 300));
    // The last of 300 tokens is that of 299 ms.
    assert!(ran.report.window_end_ns >= 299_000_000, "{}", ran.report.window_end_ns);
}
