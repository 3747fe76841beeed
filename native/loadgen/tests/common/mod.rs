//! Plans in few words, a server for them, and running them to their end.
#![allow(dead_code)] // each test file uses its own part of this

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use loadgen::plan::Plan;
use loadgen::run::{Report, Run, Step, Threads};
use loadgen::template::Secrets;
use serde_json::{Value, json};

/// Answers every request of a connection with two bytes.
pub fn answer_all(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    // Requests of these tests come in one piece each.
    while stream.read(&mut buffer).is_ok_and(|count| count > 0) {
        if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
            return;
        }
    }
}

/// A server that answers every request with two bytes, for as long as the test lives; its port.
pub fn target() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || answer_all(stream));
        }
    });
    port
}

/// A plan for one endpoint at a port of loopback: closed, one user, one request.
pub fn plan(port: u16) -> Value {
    json!({
        "name": "test", "seed": 1, "endpoints": ["e"],
        "origins": [{"scheme": "http", "host": "127.0.0.1", "port": port, "connect_host": "", "connect_port": 0,
            "addresses": ["127.0.0.1"], "resolve_error": ""}],
        "flows": [{"name": "e", "weight": 1, "steps": [{
            "endpoint": 0, "origin": 0, "method": "GET",
            "target": [
                {"part": "literal", "text": "/"},
                {"part": "variable", "name": "request_number", "encoding": "raw"}],
            "headers": [{"name": "Host", "value": [{"part": "literal", "text": "target.test"}]}],
            "body": null, "expected_statuses": [[200, 299]], "checks": [], "timeout_ns": 2_000_000_000_u64}]}],
        "lanes": [{"name": "n", "flows": [0], "selection": "round_robin",
            "load": {"model": "closed", "segments": [{"start": 1.0, "end": 1.0, "duration_ns": null}],
            "warm_up_ns": 0, "warm_up_level": 0.0, "arrival": "even", "on_saturation": "queue", "catch_up": "full",
            "catch_up_max_ns": 5_000_000_000_u64, "max_in_flight": null, "max_rate": null},
            "total": 1, "duration_ns": null}],
        "graceful_stop_ns": 1_000_000_000_u64,
        "connections": {"keep_alive": true, "http_version": "1.1", "streams_per_connection": 1},
        "sampling": {"first_per_endpoint": 2, "failures_per_kind": 3, "slowest": 10, "body_bytes": 10_240},
        "needs": [], "format": 2
    })
}

/// The same plan with `users` and `total` requests.
pub fn closed(port: u16, users: u32, total: u64) -> Value {
    let mut plan = plan(port);
    plan["lanes"][0]["load"]["segments"][0] =
        json!({"start": f64::from(users), "end": f64::from(users), "duration_ns": null});
    plan["lanes"][0]["total"] = total.into();
    plan
}

/// What came of a run.
pub struct Ran {
    pub intervals: Vec<Value>,
    pub report: Report,
}

impl Ran {
    /// The sum of a count over all seconds and endpoints; `outcomes.ok` looks inside.
    pub fn sum(&self, name: &str) -> u64 {
        let path = format!("/{}", name.replace('.', "/"));
        let endpoints = self.intervals.iter().flat_map(|interval| interval["endpoints"].as_array().unwrap());
        endpoints.filter_map(|endpoint| endpoint.pointer(&path)?.as_u64()).sum()
    }

    pub fn generated(&self, name: &str) -> u64 {
        self.intervals.iter().filter_map(|interval| interval["generator"][name].as_u64()).sum()
    }

    /// `outcome: message` of every failure, with its count.
    pub fn failures(&self) -> Vec<(String, u64)> {
        let groups = self.intervals.iter().filter_map(|interval| interval.get("failures")?.as_array()).flatten();
        groups
            .map(|group| {
                let name = format!("{}: {}", group["outcome"].as_str().unwrap(), group["message"].as_str().unwrap());
                (name, group["count"].as_u64().unwrap())
            })
            .collect()
    }
}

pub fn start(plan: &Value, threads: Option<usize>) -> Run {
    let plan = Plan::from_bytes(plan.to_string().as_bytes()).unwrap();
    let threads = threads.map_or_else(Threads::default, Threads::PerLane);
    Run::start(plan, &Secrets::new(), threads, None).unwrap()
}

/// Collects a run to its end.
pub fn finish(run: &Run) -> Ran {
    let mut intervals = Vec::new();
    loop {
        match run.next_interval(Duration::from_secs(20)) {
            Step::Interval(bytes) => intervals.push(serde_json::from_slice(&bytes).unwrap()),
            Step::Waiting => panic!("no interval for 20 s"),
            Step::Over => return Ran { intervals, report: run.report().unwrap() },
        }
    }
}

pub fn run(plan: &Value) -> Ran {
    finish(&start(plan, None))
}
