//! Flows of several steps: order, numbers and books, in both load models.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::common;

/// What a target does with a request for `path`, the second word of its first line.
type Script = fn(&mut TcpStream, path: &str) -> std::io::Result<()>;

/// (connection, path) of every request, in the order in which the target read them.
type Record = Arc<Mutex<Vec<(usize, String)>>>;

fn server(script: Script) -> (u16, Record) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let record = Record::default();
    let shared = Arc::clone(&record);
    thread::spawn(move || {
        for (connection, stream) in listener.incoming().map_while(Result::ok).enumerate() {
            let record = Arc::clone(&shared);
            thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut stream = stream;
                let (mut line, mut path) = (String::new(), String::new());
                while reader.read_line(&mut line).is_ok_and(|count| count > 0) {
                    if let Some(rest) = line.strip_prefix("GET ") {
                        rest.split(' ').next().unwrap().clone_into(&mut path);
                    } else if line == "\r\n" {
                        record.lock().unwrap().push((connection, path.clone()));
                        if script(&mut stream, &path).is_err() {
                            return;
                        }
                    }
                    line.clear();
                }
            });
        }
    });
    (port, record)
}

fn answer(stream: &mut TcpStream, status: &str) -> std::io::Result<()> {
    stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok").as_bytes())
}

/// The plan with one flow of these steps, each with an endpoint of its own.
pub fn with_steps(plan: &mut Value, names: &[&str]) {
    let step = plan["flows"][0]["steps"][0].clone();
    let steps = names.iter().enumerate().map(|(index, name)| {
        let mut step = step.clone();
        step["endpoint"] = index.into();
        step["target"][0]["text"] = format!("/{name}/").into();
        step
    });
    plan["endpoints"] = json!(names);
    plan["flows"][0]["steps"] = steps.collect();
}

/// A count of one endpoint over the whole run.
fn of_endpoint(ran: &common::Ran, endpoint: u64, pointer: &str) -> u64 {
    let endpoints = ran.intervals.iter().flat_map(|interval| interval["endpoints"].as_array().unwrap());
    let mine = endpoints.filter(|figures| figures["endpoint"] == endpoint);
    mine.filter_map(|figures| figures.pointer(pointer)?.as_u64()).sum()
}

/// The books of a flow's iterations: started, completed, failed, unfinished.
fn books(ran: &common::Ran, flow: u64) -> [u64; 4] {
    let all = ran.intervals.iter().filter_map(|interval| interval.get("iterations")?.as_array()).flatten();
    let mine: Vec<&Value> = all.filter(|books| books["flow"] == flow).collect();
    ["started", "completed", "failed", "unfinished"]
        .map(|name| mine.iter().map(|books| books[name].as_u64().unwrap_or(0)).sum())
}

#[test]
fn every_user_goes_through_the_steps_in_order_and_each_is_counted_at_its_endpoint() {
    let (port, record) = server(|stream, _| answer(stream, "200 OK"));
    let mut plan = common::closed(port, 3, 300);
    with_steps(&mut plan, &["login", "list"]);
    let ran = common::run(&plan);
    assert_eq!(books(&ran, 0), [300, 300, 0, 0]);
    for endpoint in 0..2 {
        assert_eq!(of_endpoint(&ran, endpoint, "/started"), 300);
        assert_eq!(of_endpoint(&ran, endpoint, "/outcomes/ok"), 300);
        assert_eq!(of_endpoint(&ran, endpoint, "/statuses/200"), 300);
    }
    let seen = record.lock().unwrap();
    assert_eq!((seen.len(), ran.generated("dials")), (600, 3));
    let mut numbers = Vec::new();
    for connection in 0..3 {
        let paths: Vec<&str> = seen.iter().filter(|(by, _)| *by == connection).map(|(_, path)| path.as_str()).collect();
        for pair in paths.chunks(2) {
            let number = pair[0].strip_prefix("/login/").unwrap();
            assert_eq!(pair[1], format!("/list/{number}"));
            numbers.push(number.parse::<u64>().unwrap());
        }
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=300).collect::<Vec<u64>>());
    assert_eq!(ran.report.stop_reason, "total");
}

#[test]
fn arrivals_are_iterations_and_a_later_step_begins_where_the_one_before_ended() {
    let (port, record) = server(|stream, _| {
        thread::sleep(Duration::from_millis(5));
        answer(stream, "200 OK")
    });
    let mut plan = common::plan(port);
    with_steps(&mut plan, &["a", "b", "c"]);
    plan["lanes"][0]["load"]["model"] = "open".into();
    plan["lanes"][0]["load"]["segments"][0] = json!({"start": 500.0, "end": 500.0, "duration_ns": null});
    plan["lanes"][0]["total"] = 100.into();
    plan["sampling"]["first_per_endpoint"] = 1000.into();
    let ran = common::run(&plan);
    assert_eq!(books(&ran, 0), [100, 100, 0, 0]);
    assert_eq!((ran.sum("outcomes.ok"), record.lock().unwrap().len()), (300, 300));
    let samples: Vec<&Value> =
        ran.intervals.iter().filter_map(|each| each.get("samples")?.as_array()).flatten().collect();
    assert_eq!(samples.len(), 300);
    let of = |number: u64, endpoint: u64| {
        *samples.iter().find(|each| each["request_number"] == number && each["endpoint"] == endpoint).unwrap()
    };
    for number in 1..=100 {
        let (a, b, c) = (of(number, 0), of(number, 1), of(number, 2));
        assert_eq!(a["intended_ns"], (number - 1) * 2_000_000);
        assert_eq!((&b["intended_ns"], &c["intended_ns"]), (&a["finish_ns"], &b["finish_ns"]));
        assert!(b["actual_ns"].as_u64() >= b["intended_ns"].as_u64());
    }
}

#[test]
fn an_unexpected_status_goes_on_and_a_lost_connection_ends_the_iteration() {
    let (port, record) = server(|stream, path| match path.rsplit_once('/').unwrap() {
        ("/a", "1") => answer(stream, "500 Oops"),
        ("/a", "2") => Err(std::io::ErrorKind::Other.into()),
        _ => answer(stream, "200 OK"),
    });
    let mut plan = common::closed(port, 1, 3);
    with_steps(&mut plan, &["a", "b"]);
    let ran = common::run(&plan);
    assert_eq!(books(&ran, 0), [3, 2, 1, 0]);
    // A request on a reused connection that is lost is sent once more.
    let paths: Vec<String> = record.lock().unwrap().iter().map(|(_, path)| path.clone()).collect();
    assert_eq!(paths, ["/a/1", "/b/1", "/a/2", "/a/2", "/a/3", "/b/3"]);
    assert_eq!((of_endpoint(&ran, 0, "/outcomes/unexpected_status"), of_endpoint(&ran, 1, "/outcomes/ok")), (1, 2));
    assert_eq!(of_endpoint(&ran, 0, "/outcomes/connection_closed"), 1);
}

#[test]
fn a_stop_lets_iterations_run_to_their_end_and_the_grace_ends_those_that_take_longer() {
    let (port, _) = server(|stream, path| {
        if path.starts_with("/slow") {
            thread::sleep(Duration::from_secs(10));
        }
        answer(stream, "200 OK")
    });
    let mut plan = common::closed(port, 2, 1);
    with_steps(&mut plan, &["quick", "slow"]);
    plan["lanes"][0]["total"] = json!(null);
    plan["lanes"][0]["duration_ns"] = 100_000_000.into();
    plan["graceful_stop_ns"] = 100_000_000.into();
    let ran = common::run(&plan);
    assert_eq!(books(&ran, 0), [2, 0, 0, 2]);
    assert_eq!((of_endpoint(&ran, 0, "/outcomes/ok"), of_endpoint(&ran, 1, "/outcomes/unfinished")), (2, 2));

    // With time enough, the step that begins after the end of sending is sent, and drained.
    let (port, record) = server(|stream, path| {
        if path.starts_with("/quick") {
            thread::sleep(Duration::from_millis(400));
        }
        answer(stream, "200 OK")
    });
    plan["origins"][0]["port"] = port.into();
    plan["graceful_stop_ns"] = 9_000_000_000_u64.into();
    let ran = common::run(&plan);
    assert_eq!(books(&ran, 0), [2, 2, 0, 0]);
    assert_eq!((ran.sum("drained_ok"), record.lock().unwrap().len()), (4, 4));
}

#[test]
fn a_barrier_waits_for_iterations() {
    let (port, record) = server(|stream, _| answer(stream, "200 OK"));
    let mut plan = common::closed(port, 4, 40);
    with_steps(&mut plan, &["a", "b"]);
    let mut second = plan["flows"][0].clone();
    second["steps"][0]["target"][0]["text"] = "/c/".into();
    second["steps"][1]["target"][0]["text"] = "/d/".into();
    plan["flows"].as_array_mut().unwrap().push(second);
    plan["lanes"][0]["flows"] = json!([0, 1]);
    plan["lanes"][0]["selection"] = "sequential".into();
    let ran = common::run(&plan);
    assert_eq!((books(&ran, 0), books(&ran, 1)), ([20, 20, 0, 0], [20, 20, 0, 0]));
    let seen = record.lock().unwrap();
    let (first, rest) = seen.split_at(40);
    assert!(first.iter().all(|(_, path)| path.starts_with("/a/") || path.starts_with("/b/")));
    assert!(rest.iter().all(|(_, path)| path.starts_with("/c/") || path.starts_with("/d/")));
}
