//! A load thread that dies in the middle of a run. What kills it is a descriptor taken away.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::Duration;

use crate::{alone, common};

/// The descriptors by which load threads of this process wait.
fn pollers() -> Vec<i32> {
    let mut found: Vec<i32> = fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let is_poller = fs::read_link(&path).ok()?.to_str()?.contains("eventpoll");
            is_poller.then(|| path.file_name()?.to_str()?.parse().ok()).flatten()
        })
        .collect();
    found.sort_unstable();
    found
}

#[test]
fn a_panic_in_a_load_thread_ends_the_run_as_failed_with_its_message() {
    let _alone = alone();
    while !pollers().is_empty() {
        thread::sleep(Duration::from_millis(1)); // threads of the run before are ending
    }
    let mut plan = common::closed(common::target(), 2, 1);
    plan["lanes"][0]["total"] = serde_json::Value::Null;
    plan["lanes"][0]["duration_ns"] = 60_000_000_000_u64.into();
    let run = common::start(&plan, Some(2));
    let first = run.next_interval(Duration::from_secs(20));
    assert!(matches!(first, loadgen::run::Step::Interval(_)));

    let pollers = pollers();
    assert_eq!(pollers.len(), 2);
    let nothing = fs::File::open("/dev/null").unwrap();
    // SAFETY: both descriptors are open; the thread that owns the second one finds that it cannot wait any more.
    assert!(unsafe { libc::dup2(nothing.as_raw_fd(), pollers[1]) } >= 0);

    let ran = common::finish(&run);
    assert_eq!(ran.report.stop_reason, "failed");
    assert!(ran.report.worker_lost.starts_with("waiting for events: "), "{}", ran.report.worker_lost);
    // What the other one did until then is kept, and it went no further.
    assert!(ran.sum("outcomes.ok") > 0);
    assert!(ran.report.last_finish_ns < 30_000_000_000);
}
