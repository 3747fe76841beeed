//! A request allocates nothing, once its connection is warm: constant ones, and those with templates. A request of a
//! scenario allocates for what it reads of the response, a fixed number of times.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use crate::{alone, common};

/// Counts what load threads ask for; the target and the collector of seconds are threads of the same process.
struct Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static IS_LOAD: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    let is_load = IS_LOAD.try_with(|known| {
        if !known.get() {
            let mut name = [0_u8; 32];
            // SAFETY: the name of the calling thread goes into a buffer of the length that is given.
            unsafe { libc::pthread_getname_np(libc::pthread_self(), name.as_mut_ptr().cast(), name.len()) };
            known.set(name.starts_with(b"atm-load"));
        }
        known.get()
    });
    if is_load == Ok(true) {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps to what GlobalAlloc asks of it.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The allocations of a closed run of `total` requests, and those of an open one.
fn allocated(port: u16, total: u64, header: &serde_json::Value) -> [u64; 2] {
    let mut closed = common::closed(port, 4, total);
    closed["flows"][0]["steps"][0]["headers"].as_array_mut().unwrap().push(header.clone());
    let mut open = closed.clone();
    open["lanes"][0]["load"]["model"] = "open".into();
    open["lanes"][0]["load"]["segments"][0] = json!({"start": 5000.0, "end": 5000.0, "duration_ns": null});
    // A user that comes finds room for itself, and on a slow machine they would be many.
    open["lanes"][0]["load"]["max_in_flight"] = 4.into();
    [closed, open].map(|plan| {
        let before = COUNT.load(Ordering::Relaxed);
        let ran = common::run(&plan);
        assert_eq!(ran.sum("outcomes.ok"), ran.sum("started"));
        assert!(ran.sum("started") > total / 2, "{} of {total}", ran.sum("started"));
        COUNT.load(Ordering::Relaxed) - before
    })
}

#[test]
fn a_warm_request_allocates_nothing() {
    let _alone = alone();
    let port = common::target();
    let variable = |name: &str| json!({"part": "variable", "name": name, "encoding": "raw"});
    let constant = json!({"name": "X-A", "value": [{"part": "literal", "text": "b"}]});
    let templates = json!({"name": "X-A", "value": [variable("uuid"), variable("timestamp"), variable("random_int")]});
    for header in [constant, templates] {
        let (few, many) = (allocated(port, 500, &header), allocated(port, 5500, &header));
        for (few, many) in few.into_iter().zip(many) {
            assert!(few > 0, "load threads are not counted");
            // A second that begins has room to find.
            assert!(many.saturating_sub(few) < 500, "{few} for 500 requests, {many} for 5,500");
        }
    }
}

/// The most allocations of a warm request that sends a variable, evaluates two checks and extracts a text; measured: 4.
const MOST_OF_STEP: u64 = 5;

#[test]
fn a_warm_step_of_a_scenario_allocates_only_for_what_it_reads() {
    let _alone = alone();
    let port = common::target();
    let run = |total: u64| {
        let mut plan = common::closed(port, 4, total);
        plan["checks"] = json!([{"name": "status", "endpoint": 0}, {"name": "text", "endpoint": 0}]);
        let check = |check: u32, kind: &str, operator: &str, operand: serde_json::Value| {
            json!({"check": check, "text": "", "condition": {"condition": "comparison", "subject": {"kind": kind},
                "operator": operator, "operand": operand, "template": null}})
        };
        let flow = &mut plan["flows"][0];
        let step = &mut flow["steps"][0];
        step["named_checks"] = json!([check(0, "status", "eq", json!(200)), check(1, "body", "contains", json!("ok"))]);
        step["extracts"] = json!([{"slot": 0, "subject": {"kind": "regex", "text": "(o)k"}, "text": ""}]);
        let value = json!([{"part": "value", "source": {"source": "slot", "slot": 0}, "filters": [],
            "encoding": "header", "is_secret": false}]);
        step["headers"].as_array_mut().unwrap().push(json!({"name": "X-A", "value": value}));
        flow["slots"] = json!([{"name": "text"}]);
        flow["keeps_session"] = true.into();
        flow["program"] = json!([{"op": "request", "step": 0, "on_error": "end_iteration", "on_fail": "continue"}]);
        let before = COUNT.load(Ordering::Relaxed);
        let ran = common::run(&plan);
        assert_eq!((ran.sum("outcomes.ok"), ran.sum("started")), (total, total));
        COUNT.load(Ordering::Relaxed) - before
    };
    let (few, many) = (run(500), run(5500));
    let of_requests = many.saturating_sub(few);
    assert!(of_requests > 5000, "{of_requests}: the extracted text is not allocated");
    assert!(of_requests < 5000 * MOST_OF_STEP + 500, "{few} for 500 requests, {many} for 5,500");
}
