//! Where connections come from and go to, and targets that do not wait for their turn.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::common;

/// Gives every connection to `serve`, in a thread of its own, and tells who dialled.
fn server(serve: fn(TcpStream)) -> (u16, Receiver<IpAddr>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (seen, who) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let _ = seen.send(stream.peer_addr().unwrap().ip());
            thread::spawn(move || serve(stream));
        }
    });
    (port, who)
}

#[test]
fn source_addresses_are_used_in_turn() {
    let (port, who) = server(common::answer_all);
    let mut plan = common::closed(port, 4, 40);
    plan["connections"] = json!({"source_addresses": ["127.0.0.2", "127.0.0.3", "::1"]});
    assert_eq!(common::run(&plan).sum("outcomes.ok"), 40);
    let mut sources: Vec<String> = who.try_iter().map(|address| address.to_string()).collect();
    sources.sort();
    assert_eq!(sources, ["127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.3"]);
}

#[test]
fn a_source_address_of_another_machine_is_our_own_fault() {
    let (port, who) = server(common::answer_all);
    let mut plan = common::closed(port, 1, 2);
    plan["connections"] = json!({"source_addresses": ["192.0.2.1"]});
    let ran = common::run(&plan);
    assert_eq!(ran.sum("outcomes.generator_error"), 2);
    assert_eq!(ran.intervals[0]["failures"][0]["message"], "not an address of this machine: 192.0.2.1");
    assert_eq!(who.try_iter().count(), 0);
}

#[test]
fn a_name_without_addresses_is_looked_up_when_it_is_met_and_again_as_the_plan_asks() {
    let (port, _) = server(common::answer_all);
    let mut plan = common::plan(port);
    plan["origins"][0]["host"] = "localhost".into();
    plan["origins"][0]["connect_host"] = "localhost".into();
    plan["origins"][0]["addresses"] = json!([]);
    plan["lanes"][0]["total"] = json!(null);
    plan["lanes"][0]["duration_ns"] = 350_000_000.into();
    plan["connections"] = json!({"resolve_every_ns": 100_000_000, "keep_alive": false});
    let ran = common::run(&plan);
    // The name may have an IPv6 address too, on which no server listens here.
    assert!(ran.sum("outcomes.ok") > 0);
    assert_eq!(ran.sum("started"), ran.sum("outcomes.ok") + ran.sum("outcomes.connect_error"));
    assert!(ran.intervals[0]["generator"]["dns"].is_string());
}

#[test]
fn a_target_that_speaks_first_and_out_of_turn_is_a_protocol_error_at_once() {
    let (port, _) = server(|mut stream| {
        let _ = stream.write_all(b"220 mail.test ready\r\n");
        thread::sleep(Duration::from_secs(5));
    });
    let ran = common::run(&common::closed(port, 2, 6));
    assert_eq!(ran.sum("outcomes.protocol_error"), 6);
    assert!(ran.report.last_finish_ns < 1_000_000_000);
}

#[test]
fn after_a_pause_of_the_target_everything_that_was_due_is_sent() {
    let (port, _) = server(|mut stream| {
        let mut buffer = [0; 4096];
        let mut count = 0;
        while stream.read(&mut buffer).is_ok_and(|count| count > 0) {
            count += 1;
            if count == 20 {
                thread::sleep(Duration::from_millis(300));
            }
            if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_err() {
                return;
            }
        }
    });
    let mut plan = common::plan(port);
    plan["lanes"][0]["load"]["model"] = "open".into();
    plan["lanes"][0]["load"]["segments"][0] = json!({"start": 1000.0, "end": 1000.0, "duration_ns": null});
    plan["lanes"][0]["load"]["max_in_flight"] = 1.into();
    plan["lanes"][0]["total"] = json!(null);
    plan["lanes"][0]["duration_ns"] = 700_000_000.into();
    let ran = common::run(&plan);
    assert_eq!(ran.sum("started") + ran.sum("queued_at_end"), 700);
    assert!(ran.sum("waited") >= 250);
    assert_eq!(ran.report.window_end_ns, 700_000_000);
}
