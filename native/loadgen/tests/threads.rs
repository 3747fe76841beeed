//! Several load threads are one run: numbers, totals and seconds come out as if there were one.
#![allow(clippy::unwrap_used)] // a test that meets what it did not expect should say so by stopping

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;

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
                        record.lock().unwrap().push(target.split(' ').next().unwrap().parse().unwrap());
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
    plan["load"]["model"] = "open".into();
    plan["load"]["segments"][0] = json!({"start": 2000.0, "end": 2000.0, "duration_ns": null});
    plan["total_requests"] = 1000.into();
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
    plan["load"]["segments"] = json!([{"start": 0.0, "end": 9.0, "duration_ns": 600_000_000}]);
    plan["total_requests"] = json!(null);
    let ran = common::finish(&common::start(&plan, Some(2)));
    assert_eq!(ran.generated("dials"), 9);
    assert_eq!(ran.sum("started"), ran.sum("outcomes.ok"));
    assert_eq!((ran.report.stop_reason, ran.report.window_end_ns), ("stages", 600_000_000));
}
