//! HTTP/2 against a server that others wrote.

use std::future::poll_fn;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use h2::server::{self, SendResponse};
use h2::{Reason, RecvStream};
use http::{Request, Response};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::common;

/// What the server does with the nth request of a connection.
type Script = fn(usize, &Request<RecvStream>) -> Action;

enum Action {
    Answer(u16, &'static str),
    Redirect(&'static str),
    /// Answer with a cookie.
    SetCookie(&'static str, &'static str),
    Never,
    Reset(Reason),
    /// Answer, and take no more requests on this connection.
    Goodbye,
    /// Close the connection without a word.
    Drop,
}

struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

fn server(script: Script) -> Server {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let server = Server { port, connections: Arc::clone(&connections), requests: Arc::clone(&requests) };
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((socket, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(socket, script, Arc::clone(&requests)));
            }
        });
    });
    server
}

async fn serve(socket: TcpStream, script: Script, requests: Arc<AtomicUsize>) {
    let Ok(mut connection) = server::handshake(socket).await else { return };
    let mut kept: Vec<SendResponse<Bytes>> = Vec::new();
    let mut nth = 0;
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        requests.fetch_add(1, Ordering::SeqCst);
        nth += 1;
        let plain = |status: u16| Response::builder().status(status);
        match script(nth, &request) {
            Action::Answer(status, body) => answer(&mut respond, plain(status), body),
            Action::Redirect(location) => answer(&mut respond, plain(302).header("location", location), ""),
            Action::SetCookie(cookie, body) => answer(&mut respond, plain(200).header("set-cookie", cookie), body),
            Action::Never => kept.push(respond),
            Action::Reset(reason) => respond.send_reset(reason),
            Action::Goodbye => {
                answer(&mut respond, plain(200), "bye");
                connection.graceful_shutdown();
            }
            Action::Drop => return,
        }
    }
    let _ = poll_fn(|context| connection.poll_closed(context)).await;
}

fn answer(respond: &mut SendResponse<Bytes>, head: http::response::Builder, body: &'static str) {
    if let Ok(mut stream) = respond.send_response(head.body(()).unwrap(), body.is_empty())
        && !body.is_empty()
    {
        let _ = stream.send_data(Bytes::from_static(body.as_bytes()), true);
    }
}

fn plan(server: &Server, users: u32, total: u64, streams: u32) -> Value {
    let mut plan = common::closed(server.port, users, total);
    plan["connections"] = json!({"keep_alive": true, "http_version": "2", "streams_per_connection": streams});
    plan
}

#[test]
fn users_share_connections_as_the_plan_says() {
    let server = server(|_, request| {
        assert_eq!(request.uri().authority().unwrap(), "target.test");
        Action::Answer(200, "hello")
    });
    let ran = common::run(&plan(&server, 10, 2000, 4));
    assert_eq!((ran.sum("started"), ran.sum("outcomes.ok"), ran.sum("statuses.200")), (2000, 2000, 2000));
    assert_eq!(server.connections.load(Ordering::SeqCst), 3);
    assert_eq!(server.requests.load(Ordering::SeqCst), 2000);
    let sample = &ran.intervals[0]["samples"][0];
    assert_eq!(sample["response"]["head"], "HTTP/2 200");
    assert_eq!((&sample["response"]["body"], &sample["response"]["body_bytes"]), (&json!("hello"), &json!(5)));
    // The order in which the first ten end is not defined.
    assert_eq!(sample["request"]["head"], format!("GET /{} HTTP/2", sample["request_number"]));
}

#[test]
fn checks_look_at_the_body_and_statuses_count() {
    let server = server(|nth, _| if nth % 2 == 0 { Action::Answer(200, "good") } else { Action::Answer(503, "") });
    let mut plan = plan(&server, 2, 20, 2);
    plan["flows"][0]["steps"][0]["checks"] = json!([{"kind": "regex", "pattern": "^go+d$"}]);
    let ran = common::run(&plan);
    assert_eq!((ran.sum("outcomes.ok"), ran.sum("outcomes.unexpected_status")), (10, 10));
}

#[test]
fn a_request_that_was_refused_is_sent_once_more() {
    let server =
        server(|nth, _| if nth == 3 { Action::Reset(Reason::REFUSED_STREAM) } else { Action::Answer(200, "x") });
    let ran = common::run(&plan(&server, 1, 10, 1));
    assert_eq!((ran.sum("outcomes.ok"), ran.sum("redialled")), (10, ran.generated("dials") - 1));
    assert!(ran.sum("redialled") > 0);
}

#[test]
fn a_reset_stream_is_a_failure_of_one_request_only() {
    let server =
        server(|nth, _| if nth % 5 == 0 { Action::Reset(Reason::INTERNAL_ERROR) } else { Action::Answer(200, "x") });
    let ran = common::run(&plan(&server, 4, 100, 4));
    assert_eq!((ran.sum("outcomes.ok"), ran.sum("outcomes.connection_closed")), (80, 20));
    assert_eq!(ran.generated("dials"), 1);
    assert!(
        ran.failures().iter().all(|(name, _)| name == "connection_closed: stream reset by the target: INTERNAL_ERROR")
    );
}

#[test]
fn after_a_goodbye_a_new_connection_serves() {
    let server = server(|nth, _| if nth == 10 { Action::Goodbye } else { Action::Answer(200, "x") });
    let ran = common::run(&plan(&server, 4, 100, 4));
    assert_eq!((ran.sum("started"), ran.sum("outcomes.ok")), (100, 100));
    assert!(ran.generated("dials") >= 5);
}

#[test]
fn a_lost_connection_is_dialled_again_once_for_each_request() {
    let server = server(|nth, _| if nth == 10 { Action::Drop } else { Action::Answer(200, "x") });
    let ran = common::run(&plan(&server, 2, 50, 2));
    assert_eq!(ran.sum("started"), 50);
    assert_eq!(ran.sum("outcomes.ok") + ran.sum("outcomes.connection_closed"), 50);
    assert!(ran.sum("redialled") > 0);
    assert!(ran.generated("connections_lost") > 0);
}

#[test]
fn a_timeout_gives_up_one_stream_and_keeps_the_connection() {
    let server = server(|nth, _| if nth % 4 == 0 { Action::Never } else { Action::Answer(200, "x") });
    let mut plan = plan(&server, 4, 40, 4);
    plan["flows"][0]["steps"][0]["timeout_ns"] = 100_000_000.into();
    let ran = common::run(&plan);
    assert_eq!((ran.sum("outcomes.ok"), ran.sum("outcomes.timeout")), (30, 10));
    assert_eq!(ran.generated("dials"), 1);
}

#[test]
fn redirects_are_followed_on_the_same_connection() {
    let server = server(|_, request| match request.uri().path() {
        "/there" => Action::Answer(200, "here"),
        _ => Action::Redirect("/there"),
    });
    let mut plan = plan(&server, 3, 30, 3);
    plan["connections"]["redirects"] = 3.into();
    let ran = common::run(&plan);
    assert_eq!((ran.sum("outcomes.ok"), ran.sum("redirect_hops")), (30, 30));
    assert_eq!(server.requests.load(Ordering::SeqCst), 60);
}

#[test]
fn bodies_and_secrets_are_sent() {
    let server = server(|_, request| {
        assert_eq!(request.headers()["authorization"], "Bearer s3cret");
        assert_eq!(request.headers()["content-length"], "6");
        Action::Answer(201, "")
    });
    let mut plan = plan(&server, 2, 20, 2);
    let step = &mut plan["flows"][0]["steps"][0];
    step["method"] = "POST".into();
    step["body"] = json!([{"part": "literal", "text": "number"}]);
    step["headers"].as_array_mut().unwrap().push(json!({"name": "Authorization", "value": [
        {"part": "literal", "text": "Bearer "}, {"part": "secret", "slot": "token", "encoding": "raw"}]}));
    let parsed = loadgen::plan::Plan::from_bytes(plan.to_string().as_bytes()).unwrap();
    let secrets = [("token".to_owned(), "s3cret".to_owned())].into();
    let ran =
        common::finish(&loadgen::run::Run::start(parsed, &secrets, loadgen::run::Threads::default(), None).unwrap());
    assert_eq!(ran.sum("outcomes.ok"), 20);
    assert!(!ran.intervals.iter().any(|interval| interval.to_string().contains("s3cret")));
}

#[test]
fn a_cancel_leaves_nothing_in_flight() {
    let server = server(|_, _| Action::Never);
    let run = common::start(&plan(&server, 8, 1000, 4), None);
    thread::sleep(Duration::from_millis(150));
    run.cancel();
    let ran = common::finish(&run);
    assert_eq!((ran.sum("started"), ran.sum("outcomes.unfinished")), (8, 8));
    assert_eq!(ran.report.stop_reason, "cancelled");
}

#[test]
fn a_server_that_speaks_something_else_is_a_protocol_error() {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        use std::io::Write;
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let mut plan = common::closed(port, 2, 4);
    plan["connections"] = json!({"keep_alive": true, "http_version": "2", "streams_per_connection": 2});
    let ran = common::run(&plan);
    assert_eq!((ran.sum("started"), ran.sum("outcomes.protocol_error")), (4, 4));
}

#[test]
fn a_program_sends_values_and_cookies_of_its_user() {
    let script: Script = |_, request| {
        let field = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        match (request.uri().path(), field("cookie").as_deref(), field("content-length").as_deref()) {
            ("/login", _, _) => Action::SetCookie("id=7", "{\"name\": \"a b\", \"n\": 12}"),
            ("/plain/a%20b", None, Some("2")) | ("/cookies/a%20b", Some("own=a b; id=7"), Some("2")) => {
                Action::Answer(200, "ok")
            }
            _ => Action::Answer(500, ""),
        }
    };
    for (name, uses_cookies) in [("plain", false), ("cookies", true)] {
        let server = server(script);
        let mut plan = plan(&server, 3, 30, 2);
        let slot = |slot: u32, encoding: &str| json!({"part": "value", "source": {"source": "slot", "slot": slot}, "encoding": encoding});
        let literal = |text: &str| json!({"part": "literal", "text": text});
        let request =
            |step: u32| json!({"op": "request", "step": step, "on_error": "end_iteration", "on_fail": "end_iteration"});
        let extract =
            |slot: u32, path: &str| json!({"slot": slot, "subject": {"kind": "json", "text": path}, "text": path});
        let flow = &mut plan["flows"][0];
        flow["program"] = json!([request(0), request(1)]);
        flow["slots"] = json!([{"name": "name"}, {"name": "n"}]);
        flow["uses_cookies"] = uses_cookies.into();
        let mut second = flow["steps"][0].clone();
        flow["steps"][0]["target"] = json!([literal("/login")]);
        flow["steps"][0]["extracts"] = json!([extract(0, "$.name"), extract(1, "$.n")]);
        second["method"] = "POST".into();
        second["target"] = json!([literal(&format!("/{name}/")), slot(0, "percent")]);
        second["body"] = json!([slot(1, "json_value")]);
        if uses_cookies {
            let own = json!({"name": "Cookie", "value": [literal("own="), slot(0, "header")]});
            second["headers"].as_array_mut().unwrap().push(own);
        }
        flow["steps"].as_array_mut().unwrap().push(second);
        let ran = common::run(&plan);
        assert_eq!(ran.failures(), [], "{name}");
        assert_eq!(ran.sum("outcomes.ok"), 60, "{name}");
        assert_eq!(server.requests.load(Ordering::SeqCst), 60);
    }
}
