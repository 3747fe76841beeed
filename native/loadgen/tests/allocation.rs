//! A request allocates nothing, once its connection is warm: constant ones, and those with templates.
#![allow(clippy::unwrap_used)] // a test that meets what it did not expect should say so by stopping

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

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
