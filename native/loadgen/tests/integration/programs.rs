//! Programs of scenarios against a real server: what arrives, in which order, and the books of it.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::common::{self, Ran};
use crate::steps::with_steps;
use serde_json::{Value, json};

/// What the server received: method, path, cookies and body of each request, in order.
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
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if reader.read_until(b'\n', &mut head).map_or(true, |count| count == 0) {
                return;
            }
        }
        let head = String::from_utf8(head).unwrap();
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        let mut body = vec![0; field("Content-Length: ").map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).unwrap();
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap().to_owned());
        let cookies = field("Cookie: ").map(|cookies| format!(" [{cookies}]")).unwrap_or_default();
        let body = if body.is_empty() { String::new() } else { format!(" {}", String::from_utf8(body).unwrap()) };
        record.lock().unwrap().push(format!("{method} {path}{cookies}{body}"));
        let Some((status, headers, body)) = script(&path) else { return };
        let response = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(response.as_bytes()).is_err() {
            return;
        }
    }
}

#[allow(clippy::unnecessary_wraps)] // it is a script
fn ok(_path: &str) -> Option<(u16, &'static str, String)> {
    Some((200, "", "ok".to_owned()))
}

/// One closed user who runs `iterations` of a program over steps `/NAME/ITERATION`, each with its own endpoint.
fn scenario(port: u16, iterations: u64, names: &[&str], program: Value) -> Value {
    let mut plan = common::closed(port, 1, iterations);
    with_steps(&mut plan, names);
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

fn literal(text: &str) -> Value {
    json!({"part": "literal", "text": text})
}

fn slot(slot: usize, encoding: &str) -> Value {
    json!({"part": "value", "source": {"source": "slot", "slot": slot}, "filters": [], "encoding": encoding})
}

fn on_json(path: &str) -> Value {
    json!({"kind": "json", "text": path})
}

fn extract(slot: usize, path: &str) -> Value {
    json!({"slot": slot, "subject": on_json(path), "text": path})
}

/// The samples of a run.
fn samples(ran: &Ran) -> Vec<Value> {
    ran.intervals.iter().filter_map(|each| each.get("samples")?.as_array()).flatten().cloned().collect()
}

/// Passed and failed evaluations of a check.
fn evaluations(ran: &Ran, check: u64) -> (u64, u64) {
    let all = ran.intervals.iter().filter_map(|each| each.get("checks")?.as_array()).flatten();
    all.filter(|each| each["check"] == check).fold((0, 0), |(passed, failed), each| {
        (passed + each["passed"].as_u64().unwrap_or(0), failed + each["failed"].as_u64().unwrap_or(0))
    })
}

#[test]
fn an_extracted_value_is_in_the_next_request_and_a_new_iteration_begins_without_it() {
    let script: Script = |path| {
        let number = path.rsplit('/').next().unwrap();
        Some((200, "", format!("{{\"id\": {number}, \"name\": \"a b\\u00e9\"}}")))
    };
    let (port, record) = server(script);
    let mut plan = scenario(port, 2, &["list", "open"], json!([request(1), request(0), request(1)]));
    plan["flows"][0]["slots"] = json!([{"name": "id"}, {"name": "name"}]);
    plan["flows"][0]["steps"][0]["extracts"] = json!([extract(0, "$.id"), extract(1, "$.name")]);
    let step = &mut plan["flows"][0]["steps"][1];
    step["method"] = "POST".into();
    step["target"] = json!([literal("/open/"), slot(1, "percent")]);
    step["body"] =
        json!([literal("{\"n\":"), slot(0, "json_value"), literal(",\"s\":"), slot(1, "json_value"), literal("}")]);
    let ran = common::run(&plan);
    let unset = "POST /open/ {\"n\":null,\"s\":null}".to_owned();
    let with = |number: u32| format!("POST /open/a%20b%C3%A9 {{\"n\":{number},\"s\":\"a bé\"}}");
    let expected = [unset.clone(), "GET /list/1".to_owned(), with(1), unset, "GET /list/2".to_owned(), with(2)];
    assert_eq!(*record.lock().unwrap(), expected);
    assert_eq!((books(&ran), ran.sum("outcomes.ok")), ([2, 2, 0, 0], 6));
    // A sample shows the request with the values that it had.
    let urls: Vec<String> = samples(&ran).iter().map(|each| each["url"].as_str().unwrap().to_owned()).collect();
    assert!(
        urls.iter().any(|url| url.ends_with("/open/")) && urls.iter().any(|url| url.ends_with("/open/a%20b%C3%A9"))
    );

    plan["flows"][0]["keeps_session"] = true.into();
    record.lock().unwrap().clear();
    common::run(&plan);
    assert_eq!(record.lock().unwrap()[3], with(1));
}

#[test]
fn a_condition_leaves_steps_out() {
    let (port, record) = server(|path| Some((200, "", format!("{{\"n\": {}}}", path.rsplit('/').next().unwrap()))));
    let condition = json!({"condition": "comparison", "operator": "gt", "operand": 1, "template": null,
        "subject": {"kind": "value", "value": slot(0, "raw")}});
    let program = json!([request(0), {"op": "unless", "condition": condition, "to": 3}, request(1)]);
    let mut plan = scenario(port, 3, &["a", "b"], program);
    plan["flows"][0]["slots"] = json!([{"name": "n"}]);
    plan["flows"][0]["steps"][0]["extracts"] = json!([extract(0, "$.n")]);
    let ran = common::run(&plan);
    assert_eq!(*record.lock().unwrap(), ["GET /a/1", "GET /a/2", "GET /b/2", "GET /a/3", "GET /b/3"]);
    assert_eq!((books(&ran), by_endpoint(&ran, "/not_reached")), ([3, 3, 0, 0], [0, 1]));
}

#[test]
fn checks_are_counted_by_name_and_a_missing_value_ends_the_iteration() {
    let script: Script = |path| match path {
        "/a/2" => Some((500, "", "{\"ok\": true}".to_owned())),
        "/a/3" => Some((200, "", "no json".to_owned())),
        _ => Some((200, "", "{\"ok\": true, \"id\": 1}".to_owned())),
    };
    let (port, _) = server(script);
    let mut plan = scenario(port, 3, &["a", "b"], json!([request(0), request(1)]));
    let check = |index: u64, operator: &str, path: &str, counts_only: bool| {
        json!({"check": index, "text": format!("{path} {operator}"), "counts_only": counts_only,
            "condition": {"condition": "comparison", "operator": operator, "subject": on_json(path), "operand": true}})
    };
    plan["checks"] = json!([{"name": "healthy", "endpoint": 0}, {"name": "$.x exists", "endpoint": 0}]);
    plan["flows"][0]["slots"] = json!([{"name": "id"}]);
    let step = &mut plan["flows"][0]["steps"][0];
    step["named_checks"] = json!([check(0, "eq", "$.ok", false), check(1, "exists", "$.x", true)]);
    step["extracts"] = json!([extract(0, "$.id")]);
    let ran = common::run(&plan);
    // All are evaluated, whatever the status.
    assert_eq!((evaluations(&ran, 0), evaluations(&ran, 1)), ((2, 1), (0, 3)));
    assert_eq!((books(&ran), by_endpoint(&ran, "/not_reached")), ([3, 1, 2, 0], [0, 2]));
    assert_eq!(by_endpoint(&ran, "/outcomes/check_failed"), [1, 0]);
    let mut failures: Vec<String> = ran.failures().into_iter().map(|(name, _)| name).collect();
    failures.sort();
    assert_eq!(failures, ["check_failed: check \"healthy\" failed: $.ok eq", "unexpected_status: 500, expected 2xx"]);

    plan["flows"][0]["steps"][0]["named_checks"] = json!([]);
    let ran = common::run(&plan);
    let names: Vec<String> = ran.failures().into_iter().map(|(name, _)| name).collect();
    assert!(names.contains(&"check_failed: nothing to extract for id: $.id".to_owned()), "{names:?}");
}

#[test]
fn cookies_come_back_also_those_of_a_redirect_and_join_a_header_of_the_step() {
    let script: Script = |path| match path {
        "/login/1" | "/login/2" => Some((302, "Set-Cookie: hop=1\r\nLocation: /home/x\r\n", String::new())),
        "/home/x" => Some((200, "Set-Cookie: id=7; Path=/\r\nSet-Cookie: deep=1\r\n", "ok".to_owned())),
        _ => ok(path),
    };
    let (port, record) = server(script);
    let mut plan = scenario(port, 2, &["login", "open"], json!([request(0), request(1)]));
    plan["connections"]["redirects"] = 3.into();
    plan["flows"][0]["uses_cookies"] = true.into();
    let own = json!({"name": "Cookie", "value": [literal("own=1")]});
    plan["flows"][0]["steps"][1]["headers"].as_array_mut().unwrap().push(own);
    common::run(&plan);
    // `hop` is of /login, `deep` of /home: neither belongs to /open.
    let once = |number: u32| {
        [format!("GET /login/{number}"), "GET /home/x".to_owned(), format!("GET /open/{number} [own=1; id=7]")]
    };
    assert_eq!(*record.lock().unwrap(), [once(1), once(2)].concat());
    plan["flows"][0]["keeps_session"] = true.into();
    record.lock().unwrap().clear();
    common::run(&plan);
    let expected = ["GET /login/2 [hop=1; id=7]", "GET /home/x [deep=1; id=7]", "GET /open/2 [own=1; id=7]"];
    assert_eq!(record.lock().unwrap()[3..], expected);
}

#[test]
fn a_secret_variable_is_in_no_sample() {
    let (port, record) = server(|_| Some((200, "", "{\"token\": \"t0p/secret\"}".to_owned())));
    let mut plan = scenario(port, 1, &["a", "b"], json!([request(0), request(1)]));
    plan["flows"][0]["slots"] = json!([{"name": "token", "is_secret": true}]);
    plan["flows"][0]["steps"][0]["extracts"] = json!([extract(0, "$.token")]);
    let step = &mut plan["flows"][0]["steps"][1];
    step["method"] = "POST".into();
    step["target"] = json!([literal("/b?token="), slot(0, "percent")]);
    step["body"] = json!([slot(0, "json_value")]);
    let ran = common::run(&plan);
    assert_eq!(record.lock().unwrap()[1], "POST /b?token=t0p%2Fsecret \"t0p/secret\"");
    let shown = serde_json::to_string(&samples(&ran)).unwrap();
    assert!(shown.contains("/b?token=***") && !shown.contains("t0p") && !shown.contains("/secret"), "{shown}");
    let body_bytes: Vec<Value> = samples(&ran).iter().map(|each| each["request"]["body_bytes"].clone()).collect();
    assert_eq!(body_bytes, [json!(0), json!(12)]);
}

#[test]
fn an_endpoint_may_use_values_too() {
    let (port, record) = server(ok);
    let mut plan = common::closed(port, 1, 2);
    let value = |source: Value, filters: Value| json!({"part": "value", "source": source, "filters": filters, "encoding": "target"});
    plan["flows"][0]["steps"][0]["target"] = json!([
        literal("/"),
        value(json!({"source": "iteration"}), json!([])),
        literal("/"),
        value(json!({"source": "user"}), json!([])),
        literal("/"),
        value(json!({"source": "text", "text": "a b", "secret_slot": ""}), json!([{"name": "base64url"}])),
        literal("/"),
        value(json!({"source": "random_int", "low": 5, "high": 5, "place": 0}), json!([])),
    ]);
    let ran = common::run(&plan);
    assert_eq!(*record.lock().unwrap(), ["GET /1/1/YSBi/5", "GET /2/1/YSBi/5"]);
    assert!(ran.intervals.iter().all(|each| each.get("iterations").is_none()));
}
