//! Programs of scenarios against a real server: what arrives, in which order, and the books of it.
#![allow(clippy::unwrap_used)] // a test that meets what it did not expect should say so by stopping

mod common;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use common::Ran;
use serde_json::{Value, json};

/// What the server received: method and path of each request, in order.
type Record = Arc<Mutex<Vec<String>>>;
/// The response to a path: status, further headers, and body. Without one, the connection is closed.
type Script = fn(&str) -> Option<(u16, &'static str, String)>;

/// A server that answers by `script`; its port, and what it received.
fn server(script: Script) -> (u16, Record) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let record = Record::default();
    let shared = Arc::clone(&record);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let record = Arc::clone(&shared);
            thread::spawn(move || serve(stream, &record, script));
        }
    });
    (port, record)
}

fn serve(mut stream: TcpStream, record: &Record, script: Script) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    while let Some(first) = lines.next() {
        let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        let mut words = first.split(' ');
        let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
        let cookie = head.iter().find_map(|line| line.strip_prefix("Cookie: ")).map(|line| format!(" [{line}]"));
        record.lock().unwrap().push(format!("{method} {path}{}", cookie.unwrap_or_default()));
        let Some((status, headers, body)) = script(&path) else { return };
        let response = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(response.as_bytes()).is_err() {
            return;
        }
    }
}

fn ok(_path: &str) -> Option<(u16, &'static str, String)> {
    Some((200, "", "ok".to_owned()))
}

/// One closed user who runs `iterations` of a program over steps `/NAME/ITERATION`, each with its own endpoint.
fn scenario(port: u16, iterations: u64, names: &[&str], program: Value) -> Value {
    let mut plan = common::closed(port, 1, iterations);
    let step = plan["flows"][0]["steps"][0].clone();
    let steps = names.iter().enumerate().map(|(index, name)| {
        let mut step = step.clone();
        step["endpoint"] = index.into();
        step["target"][0]["text"] = format!("/{name}/").into();
        step
    });
    plan["endpoints"] = json!(names);
    plan["flows"][0]["steps"] = steps.collect();
    plan["flows"][0]["program"] = program;
    plan
}

fn request(step: usize) -> Value {
    rules(step, "end_iteration", "continue")
}

fn rules(step: usize, on_error: &str, on_fail: &str) -> Value {
    json!({"op": "request", "step": step, "on_error": on_error, "on_fail": on_fail})
}

fn think(ms: u64) -> Value {
    json!({"op": "think", "distribution": "fixed", "first_ns": ms * 1_000_000, "second_ns": 0, "place": 0})
}

/// Books of the iterations: started, completed, failed, unfinished.
fn books(ran: &Ran) -> [u64; 4] {
    let all: Vec<&Value> =
        ran.intervals.iter().filter_map(|interval| interval.get("iterations")?.as_array()).flatten().collect();
    ["started", "completed", "failed", "unfinished"]
        .map(|name| all.iter().map(|books| books[name].as_u64().unwrap_or(0)).sum())
}

/// A count of each endpoint over the whole run.
fn by_endpoint<const N: usize>(ran: &Ran, pointer: &str) -> [u64; N] {
    let mut counts = HashMap::new();
    for figures in ran.intervals.iter().flat_map(|interval| interval["endpoints"].as_array().unwrap()) {
        *counts.entry(figures["endpoint"].as_u64().unwrap()).or_insert(0) +=
            figures.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    }
    std::array::from_fn(|endpoint| counts.get(&(endpoint as u64)).copied().unwrap_or(0))
}

#[test]
fn a_loop_repeats_its_steps_and_what_is_skipped_is_not_reached() {
    let (port, record) = server(ok);
    let program = json!([
        request(0),
        {"op": "loop", "counter": 0, "times": 3, "to": 0},
        {"op": "jump", "to": 4},
        request(1),
        request(2),
    ]);
    let mut plan = scenario(port, 2, &["a", "b", "c"], program);
    plan["flows"][0]["counters"] = 1.into();
    let ran = common::run(&plan);
    let expected = ["/a/1", "/a/1", "/a/1", "/c/1", "/a/2", "/a/2", "/a/2", "/c/2"].map(|path| format!("GET {path}"));
    assert_eq!(*record.lock().unwrap(), expected);
    assert_eq!(books(&ran), [2, 2, 0, 0]);
    assert_eq!(by_endpoint(&ran, "/started"), [6, 0, 2]);
    assert_eq!(by_endpoint(&ran, "/not_reached"), [0, 2, 0]);
}

#[test]
fn think_time_delays_a_step_and_is_in_no_response_time() {
    let (port, _) = server(ok);
    let plan = scenario(port, 3, &["a", "b"], json!([request(0), think(60), request(1), think(40)]));
    let ran = common::run(&plan);
    assert_eq!((books(&ran), ran.sum("outcomes.ok")), ([3, 3, 0, 0], 6));
    let samples: Vec<&Value> =
        ran.intervals.iter().filter_map(|each| each.get("samples")?.as_array()).flatten().collect();
    let of = |number: u64, endpoint: u64, field: &str| {
        let is_it = |each: &&&Value| each["request_number"] == number && each["endpoint"] == endpoint;
        samples.iter().find(is_it).unwrap()[field].as_u64().unwrap()
    };
    assert_eq!(of(1, 1, "intended_ns"), of(1, 0, "finish_ns") + 60_000_000);
    assert!(of(1, 1, "actual_ns") >= of(1, 1, "intended_ns"));
    // The think time at the end belongs to the iteration: the next one begins after it.
    assert!(of(2, 0, "intended_ns") >= of(1, 1, "finish_ns") + 40_000_000);
    assert!(ran.report.last_finish_ns >= 3 * 100_000_000 - 40_000_000);
}

#[test]
fn an_arrival_starts_while_another_user_thinks() {
    let (port, record) = server(ok);
    let mut plan = scenario(port, 0, &["a", "b"], json!([think(50), request(0), think(200), request(1)]));
    plan["lanes"][0]["load"]["model"] = "open".into();
    plan["lanes"][0]["load"]["segments"][0] = json!({"start": 100.0, "end": 100.0, "duration_ns": null});
    plan["lanes"][0]["total"] = 20.into();
    let ran = common::run(&plan);
    assert_eq!((books(&ran), ran.sum("outcomes.ok"), record.lock().unwrap().len()), ([20, 20, 0, 0], 40, 40));
    assert_eq!(ran.sum("dropped") + ran.sum("queued_at_end") + ran.sum("waited"), 0);
}

#[test]
fn rules_after_failures_end_the_iteration_or_the_user_or_the_run() {
    let script: Script = |path| match path {
        "/a/2" => Some((500, "", "no".to_owned())),
        "/b/3" => None,
        _ => ok(path),
    };
    let (port, record) = server(script);
    let program = json!([rules(0, "end_iteration", "end_iteration"), rules(1, "continue", "continue"), request(2)]);
    let ran = common::run(&scenario(port, 3, &["a", "b", "c"], program));
    assert_eq!(books(&ran), [3, 2, 1, 0]);
    assert_eq!(by_endpoint(&ran, "/not_reached"), [0, 1, 1]);
    // A request on a reused connection that is lost is sent once more.
    let expected = ["/a/1", "/b/1", "/c/1", "/a/2", "/a/3", "/b/3", "/b/3", "/c/3"].map(|path| format!("GET {path}"));
    assert_eq!(*record.lock().unwrap(), expected);

    let script: Script = |path| if path == "/a/1" { Some((500, "", "no".to_owned())) } else { ok(path) };
    let (port, record) = server(script);
    let mut plan = scenario(port, 5, &["a"], json!([rules(0, "end_iteration", "stop_user")]));
    let ran = common::run(&plan);
    assert_eq!((books(&ran), record.lock().unwrap().len(), ran.report.stop_reason), ([1, 0, 1, 0], 1, "stopped"));
    // Another user sends the rest of the total.
    plan["lanes"][0]["load"]["segments"][0] = json!({"start": 2.0, "end": 2.0, "duration_ns": null});
    let ran = common::run(&plan);
    assert_eq!((books(&ran), ran.report.stop_reason), ([5, 4, 1, 0], "total"));

    let script: Script = |path| if path == "/a/3" { Some((500, "", "no".to_owned())) } else { ok(path) };
    let (port, _) = server(script);
    let ran = common::run(&scenario(port, 1000, &["a"], json!([rules(0, "end_iteration", "stop_run"), think(20)])));
    let [started, completed, failed, unfinished] = books(&ran);
    assert_eq!((failed, unfinished, ran.report.stop_reason), (1, 0, "stopped"));
    assert!(started < 10 && completed == started - 1, "{started}");
}

#[test]
fn a_stop_lets_users_think_to_the_end_and_the_grace_ends_those_that_think_longer() {
    let (port, _) = server(ok);
    let mut plan = scenario(port, 0, &["a", "b"], json!([request(0), think(400), request(1)]));
    plan["lanes"][0]["total"] = json!(null);
    plan["lanes"][0]["duration_ns"] = 100_000_000.into();
    let ran = common::run(&plan);
    assert_eq!((books(&ran), by_endpoint(&ran, "/drained_ok")), ([1, 1, 0, 0], [0, 1]));
    plan["graceful_stop_ns"] = 100_000_000.into();
    let ran = common::run(&plan);
    assert_eq!((books(&ran), by_endpoint(&ran, "/started")), ([1, 0, 0, 1], [1, 0]));
    assert_eq!(ran.sum("outcomes.unfinished"), 0);
    // A cancel does not wait at all.
    plan["lanes"][0]["duration_ns"] = 60_000_000_000_u64.into();
    plan["flows"][0]["program"][1] = think(30_000);
    let started = common::start(&plan, None);
    thread::sleep(Duration::from_millis(300));
    started.cancel();
    let ran = common::finish(&started);
    assert_eq!((books(&ran), ran.sum("outcomes.unfinished")), ([1, 0, 0, 1], 0));
}

#[test]
fn a_paced_user_starts_at_its_slots() {
    let (port, _) = server(ok);
    let mut plan = scenario(port, 4, &["a"], json!([request(0)]));
    plan["flows"][0]["pace_ns"] = 50_000_000.into();
    plan["sampling"]["first_per_endpoint"] = 10.into();
    let ran = common::run(&plan);
    let samples = ran.intervals.iter().filter_map(|each| each.get("samples")?.as_array()).flatten();
    let mut intended: Vec<u64> = samples.map(|sample| sample["intended_ns"].as_u64().unwrap()).collect();
    intended.sort_unstable();
    let first = intended[0];
    assert_eq!(intended, [0, 1, 2, 3].map(|slot| first + slot * 50_000_000));
}
