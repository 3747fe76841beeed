//! Peers that break the protocol: each ends the connection, or the one stream, with a clear message.

use crate::wire::{
    self, ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PRIORITY, PUSH_PROMISE,
    RST_STREAM, SETTINGS, STATUS_200, Seen, WINDOW_UPDATE, connect, feed, frame, frames, greeting, head, setting, take,
};
use h2client::{Body, Connection, ErrorCode, ErrorKind, Failure, Refusal, Request, Settings};

/// A connection with requests 0 and 1 in flight, settings exchanged.
fn open() -> Connection {
    let mut connection = connect(Settings { window: 100_000, ..Settings::default() });
    for token in 0..2 {
        connection.send_request(0, Request::new(token), |_, _| {}).expect("a free stream");
    }
    feed(&mut connection, &greeting()).1.expect("no error");
    take(&mut connection);
    connection
}

fn answered() -> Connection {
    let mut connection = open();
    feed(&mut connection, &frame(HEADERS, END_HEADERS, 1, STATUS_200)).1.expect("no error");
    connection
}

#[test]
fn violations_end_the_connection_with_their_reason() {
    let block = |fields: &[u8]| frame(HEADERS, END_HEADERS, 1, fields);
    let cases: Vec<(Vec<u8>, u32, &str)> = vec![
        (vec![0xff; 9], 6, "a frame over 16 KiB"),
        (frame(DATA, 0, 0, b"x"), 1, "a frame for a stream that was never opened"),
        (frame(DATA, 0, 2, b"x"), 1, "a frame for a stream that was never opened"),
        (frame(DATA, 0, 5, b"x"), 1, "a frame for a stream that was never opened"),
        (frame(HEADERS, END_HEADERS, 5, STATUS_200), 1, "a frame for a stream that was never opened"),
        (frame(HEADERS, END_HEADERS, 2, STATUS_200), 1, "a frame for a stream that was never opened"),
        (frame(RST_STREAM, 0, 7, &[0; 4]), 1, "a frame for a stream that was never opened"),
        (frame(WINDOW_UPDATE, 0, 7, &[0, 0, 0, 1]), 1, "a frame for a stream that was never opened"),
        (frame(DATA, PADDED, 1, b""), 6, "padding that does not fit"),
        (frame(DATA, PADDED, 1, b"\x05abc"), 1, "padding that does not fit"),
        (frame(HEADERS, END_HEADERS | PADDED, 1, b"\x05\x88"), 1, "padding that does not fit"),
        (frame(HEADERS, END_HEADERS | 0x20, 1, b"\x88"), 6, "a priority that does not fit"),
        (block(&[0x80]), 9, "a header field's index is out of range"),
        (block(&[0x00, 0x01]), 9, "a header block ends within a string"),
        (frame(CONTINUATION, END_HEADERS, 1, STATUS_200), 1, "CONTINUATION without HEADERS"),
        ([frame(HEADERS, 0, 1, b""), frame(PING, 0, 0, &[0; 8])].concat(), 1, "a frame within a header block"),
        ([frame(HEADERS, 0, 1, b""), frame(CONTINUATION, 4, 3, b"")].concat(), 1, "a frame within a header block"),
        (frame(PRIORITY, 0, 0, &[0; 5]), 1, "PRIORITY without a stream"),
        (frame(PRIORITY, 0, 1, &[0; 4]), 6, "PRIORITY with a wrong length"),
        (frame(RST_STREAM, 0, 1, &[0; 5]), 6, "RST_STREAM with a wrong length"),
        (frame(RST_STREAM, 0, 0, &[0; 4]), 1, "a frame for a stream that was never opened"),
        (frame(SETTINGS, 0, 1, b""), 1, "SETTINGS on a stream"),
        (frame(SETTINGS, 0, 0, &[0; 7]), 6, "SETTINGS with a wrong length"),
        (frame(SETTINGS, ACK, 0, &[0; 6]), 6, "SETTINGS with a wrong length"),
        (setting(2, 1), 1, "SETTINGS that offer push"),
        (setting(4, 0x8000_0000), 3, "a window over 2^31 - 1"),
        (setting(5, 16_383), 1, "SETTINGS with a wrong frame size"),
        (setting(5, 1 << 24), 1, "SETTINGS with a wrong frame size"),
        (frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2, 0x82]), 1, "a push that was switched off"),
        (frame(PING, 0, 1, &[0; 8]), 1, "PING on a stream"),
        (frame(PING, 0, 0, &[0; 7]), 6, "PING with a wrong length"),
        (frame(GOAWAY, 0, 1, &[0; 8]), 1, "GOAWAY on a stream"),
        (frame(GOAWAY, 0, 0, &[0; 7]), 6, "GOAWAY with a wrong length"),
        (frame(WINDOW_UPDATE, 0, 0, &[0; 3]), 6, "WINDOW_UPDATE with a wrong length"),
        (frame(WINDOW_UPDATE, 0, 0, &[0; 4]), 1, "WINDOW_UPDATE of nothing"),
        (frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]), 3, "a window over 2^31 - 1"),
        (frame(DATA, END_STREAM, 1, b"").repeat(2), 5, "data after the end of an answer"),
        (
            [frame(DATA, END_STREAM, 1, b""), frame(HEADERS, END_HEADERS, 1, STATUS_200)].concat(),
            5,
            "headers after the end of an answer",
        ),
    ];
    for (bytes, code, reason) in cases {
        let mut connection = answered();
        let error = feed(&mut connection, &bytes).1.expect_err(reason);
        assert_eq!((error.code, error.to_string()), (ErrorCode(code), format!("not HTTP/2: {reason}")), "{bytes:?}");
        assert_eq!(connection.receive(&greeting(), &mut wire::Record::default()), Err(error), "it stays so");
        assert_eq!(connection.send_request(0, Request::new(9), |_, _| {}), Err(Refusal::Failed));
        let sent = frames(&take(&mut connection));
        let goaway = [&[0; 4][..], &code.to_be_bytes()].concat();
        assert_eq!(sent.last(), Some(&(GOAWAY, 0, 0, goaway)));
    }
}

#[test]
fn a_target_that_speaks_something_else_is_told_so() {
    let cases: [(&[u8], &str); 4] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "the target answers in HTTP/1"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the first frame is not SETTINGS"),
        (&[0; 64], "the first frame is not SETTINGS"),
        (b"\0\0\0\x04\x01\0\0\0\0", "the first frame is not SETTINGS"),
    ];
    for (bytes, reason) in cases {
        let mut connection = Connection::new(Settings::default(), [].into());
        let error = feed(&mut connection, bytes).1.expect_err(reason);
        assert_eq!(error.to_string(), format!("not HTTP/2: {reason}"));
    }
}

#[test]
fn malformed_answers_end_their_stream_alone() {
    let ok = (":status", "200");
    let long = "a body longer than its content-length";
    let short = "a body shorter than its content-length";
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (head(1, 0, &[("x-a", "b")]), "a head without a status"),
        (head(1, 0, &[(":status", "20")]), "a wrong status"),
        (head(1, 0, &[(":status", "099")]), "a wrong status"),
        (head(1, 0, &[ok, ok]), "a wrong status"),
        (head(1, 0, &[("x-a", "b"), ok]), "a pseudo-header field after the others"),
        (head(1, 0, &[ok, (":path", "/")]), "a pseudo-header field that answers do not have"),
        (head(1, 0, &[ok, ("X-A", "b")]), "a wrong header field name"),
        (head(1, 0, &[ok, ("", "b")]), "a wrong header field name"),
        (head(1, 0, &[ok, ("x-a", "b\r\nc")]), "a line break or a zero byte in a header field"),
        (head(1, 0, &[ok, ("connection", "close")]), "a header field about the connection"),
        (head(1, 0, &[ok, ("transfer-encoding", "chunked")]), "a header field about the connection"),
        (head(1, 0, &[ok, ("content-length", "-1")]), "a wrong content-length"),
        (head(1, 0, &[ok, ("content-length", "1"), ("content-length", "2")]), "two different content-lengths"),
        (head(1, 0, &[(":status", "101")]), "a change of protocol"),
        (head(1, END_STREAM, &[(":status", "100")]), "an informational head that ends the answer"),
        (frame(DATA, 0, 1, b"x"), "data before the answer's head"),
        (frame(DATA, END_STREAM, 1, b""), "an end before the answer's head"),
        ([head(1, 0, &[ok]), head(1, 0, &[("x-a", "b")])].concat(), "a second head"),
        ([head(1, 0, &[ok]), head(1, END_STREAM, &[ok])].concat(), "a second head"),
        ([head(1, 0, &[ok, ("content-length", "2")]), frame(DATA, 0, 1, b"abc")].concat(), long),
        ([head(1, 0, &[ok, ("content-length", "2")]), frame(DATA, END_STREAM, 1, b"a")].concat(), short),
        (head(1, END_STREAM, &[ok, ("content-length", "2")]), short),
        (frame(WINDOW_UPDATE, 0, 1, &[0; 4]), "WINDOW_UPDATE of nothing"),
        (frame(WINDOW_UPDATE, 0, 1, &[0x7f, 0xff, 0xff, 0xff]), "a window over 2^31 - 1"),
    ];
    for (bytes, reason) in cases {
        let mut connection = open();
        let (record, result) = feed(&mut connection, &bytes);
        result.expect("the connection stays open");
        let failure = Failure::Malformed(reason);
        assert_eq!(record.0.last(), Some(&Seen::Failed(0, failure)), "{reason}");
        assert_eq!(failure.to_string(), format!("not HTTP/2: {reason}"));
        let sent = frames(&take(&mut connection));
        assert_eq!((sent[0].0, sent[0].2), (RST_STREAM, 1));
        let (record, _) = feed(&mut connection, &head(3, END_STREAM, &[ok]));
        assert_eq!(record.0.last(), Some(&Seen::End(1)), "the other stream is answered");
    }
}

#[test]
fn headers_over_the_limit_fail_their_request() {
    // Decoded over 64 KiB, by a block that is small: the table's entry of 4,000 bytes, 20 times.
    let mut block = vec![0x88, 0x40, 3, b'x', b'-', b'a', 0x7f, 0xa1, 0x1e];
    block.extend([b'v'; 4000]);
    block.extend([0xbe; 20]);
    let mut connection = open();
    let (record, result) = feed(&mut connection, &frame(HEADERS, END_HEADERS, 1, &block));
    result.expect("the header table is in step, so the connection stays open");
    assert_eq!(record.0, [Seen::Failed(0, Failure::HeadersTooLarge)]);
    let (record, result) = feed(&mut connection, &frame(HEADERS, END_HEADERS | END_STREAM, 3, &[0x88, 0xbe]));
    result.expect("no error");
    assert_eq!(record.0, [Seen::Head(1, 200, vec![]), Seen::End(1)]);
    // Over 64 KiB on the wire.
    let mut connection = open();
    let mut bytes = frame(HEADERS, 0, 1, &[0; 16_384]);
    bytes.extend(frame(CONTINUATION, 0, 1, &[0; 16_384]).repeat(4));
    let (record, result) = feed(&mut connection, &bytes);
    let error = result.expect_err("the header table is lost");
    assert_eq!((error.kind, error.to_string().as_str()), (ErrorKind::HeadersTooLarge, "headers over 64 KiB"));
    assert_eq!(record.0, [Seen::Failed(0, Failure::HeadersTooLarge)]);
    assert_eq!(connection.streams().count(), 1);
}

#[test]
fn floods_end() {
    let informational = head(1, 0, &[(":status", "103")]);
    let floods: Vec<(&str, Vec<u8>)> = vec![
        ("settings", setting(3, 100)),
        ("acknowledgements", frame(SETTINGS, ACK, 0, &[])),
        ("pings", frame(PING, 0, 0, &[1; 8])),
        ("ping answers", frame(PING, ACK, 0, &[1; 8])),
        ("resets", frame(RST_STREAM, 0, 1, &[0; 4])),
        ("priorities", frame(PRIORITY, 0, 1, &[0; 5])),
        ("window updates", frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])),
        ("goodbyes", frame(GOAWAY, 0, 0, &[0, 0, 0, 9, 0, 0, 0, 0])),
        ("unknown frames", frame(0xaa, 0, 0, b"?")),
        ("empty data", frame(DATA, 0, 3, b"")),
        ("padding", frame(DATA, PADDED, 3, b"\x01\0")),
        ("informational heads", informational),
    ];
    for (name, flood) in floods {
        let mut connection = open();
        feed(&mut connection, &frame(HEADERS, END_HEADERS, 3, STATUS_200)).1.expect("no error");
        let bytes = flood.repeat(100);
        let mut rounds = 0;
        let error = loop {
            rounds += 1;
            assert!(rounds < 200, "{name} never end");
            take(&mut connection);
            if let Err(error) = feed(&mut connection, &bytes).1 {
                break error;
            }
        };
        assert_eq!(error.to_string(), "not HTTP/2: too many frames that lead nowhere", "{name}");
        assert_eq!(error.kind, ErrorKind::Flood);
    }
}

#[test]
fn a_peer_that_asks_and_never_reads_is_given_up() {
    let mut connection = open();
    feed(&mut connection, &frame(HEADERS, END_HEADERS, 1, STATUS_200)).1.expect("no error");
    // One byte of data between the pings, so that things do go forward.
    let bytes = [frame(PING, 0, 0, &[1; 8]), frame(DATA, 0, 1, b"x")].concat().repeat(100);
    let error = (0..1000).find_map(|_| feed(&mut connection, &bytes).1.err()).expect("an end");
    assert_eq!(error.to_string(), "not HTTP/2: too many frames that want an answer");
    assert!(connection.outgoing().len() < 300_000);
}

#[test]
fn a_long_upload_with_many_pings_goes_on() {
    let mut connection = open();
    feed(&mut connection, &[setting(4, 0x7fff_ffff), frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0, 0, 0])].concat())
        .1
        .expect("no error");
    let body = vec![0; 20_000_000];
    let request = Request { body: Body::Bytes(&body), ..Request::new(2) };
    connection.send_request(1, request, |_, _| {}).expect("a free stream");
    for _ in 0..19_000 {
        connection.consume(1000);
        feed(&mut connection, &frame(PING, 0, 0, &[1; 8])).1.expect("no error");
    }
}

#[test]
fn a_header_block_in_very_many_frames_is_a_flood() {
    let mut connection = open();
    let mut bytes = frame(HEADERS, 0, 1, STATUS_200);
    bytes.extend(frame(CONTINUATION, 0, 1, b"").repeat(300));
    let error = feed(&mut connection, &bytes).1.expect_err("an end");
    assert_eq!(error.to_string(), "not HTTP/2: a header block in too many frames");
}
