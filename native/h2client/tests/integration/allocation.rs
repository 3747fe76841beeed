//! A request and its answer allocate nothing, once a connection is warm.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use crate::wire::{DATA, END_HEADERS, END_STREAM, HEADERS, SETTINGS, connect, frame};
use h2client::{Body, Connection, Events, Failure, Head, Request, Settings, Stream};

/// Counts for each thread by itself: the harness that waits for this test allocates too.
struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    COUNT.with(|so_far| so_far.set(so_far.get() + 1));
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

#[derive(Default)]
struct Ended(u64);

impl Events for Ended {
    fn head(&mut self, _: Stream, head: &Head<'_>) {
        assert_eq!((head.status, head.location.is_some()), (200, true));
    }
    fn data(&mut self, _: Stream, _: &[u8]) {}
    fn end(&mut self, _: Stream) {
        self.0 += 1;
    }
    fn failed(&mut self, _: Stream, failure: Failure) {
        panic!("{failure}");
    }
}

/// Sixteen requests with templates and a body, and their answers, whose heads always enter the header table.
fn round(connection: &mut Connection, ended: &mut Ended, answers: &mut Vec<u8>, variable: &[u8]) {
    answers.clear();
    for nth in 0..16 {
        let request = Request { body: Body::Bytes(b"{}"), want_headers: nth % 2 == 0, ..Request::new(nth) };
        let template = usize::from(nth % 3 == 0) * 2;
        let stream = connection.send_request(template, request, |_, output| output.extend_from_slice(variable));
        let id = stream.expect("a free stream").id;
        answers.extend_from_slice(&[0, 0, 60, HEADERS, END_HEADERS]);
        answers.extend_from_slice(&id.to_be_bytes());
        answers.extend_from_slice(&[0x88, 0x6e, 57]);
        answers.extend((0..57u8).map(|at| b'a' + (at + u8::try_from(ended.0 % 20).expect("below 20")) % 26));
        answers.extend_from_slice(&[0, 0, 5, DATA, END_STREAM]);
        answers.extend_from_slice(&id.to_be_bytes());
        answers.extend_from_slice(b"hello");
    }
    let count = connection.outgoing().len();
    connection.consume(count);
    for piece in answers.chunks(100) {
        connection.receive(piece, ended).expect("no error");
    }
}

#[test]
fn a_warm_connection_allocates_nothing() {
    let mut connection = connect(Settings { max_streams: 16, ..Settings::default() });
    let settings = [frame(SETTINGS, 0, 0, &[0, 4, 0, 16, 0, 0]), frame(8, 0, 0, &[0x40, 0, 0, 0])].concat();
    let mut ended = Ended::default();
    connection.receive(&settings, &mut ended).expect("no error");
    let mut answers = Vec::new();
    let variable = [b'v'; 200];
    for _ in 0..200 {
        round(&mut connection, &mut ended, &mut answers, &variable);
    }
    let before = COUNT.get();
    assert!(before > 0, "nothing is counted");
    for _ in 0..1000 {
        round(&mut connection, &mut ended, &mut answers, &variable);
    }
    assert_eq!(COUNT.get() - before, 0);
    assert_eq!(ended.0, 16 * 1200);
}
