//! What a connection and a peer that keeps to the protocol say to each other.

use std::sync::Arc;

use crate::wire::{
    ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, RST_STREAM, SETTINGS, STATUS_200, Seen,
    WINDOW_UPDATE, connect, feed, field, frame, frames, greeting, head, setting, take,
};
use h2client::{Body, ErrorCode, Failure, Refusal, Request, Settings};

fn get(connection: &mut h2client::Connection, token: u64) -> u32 {
    connection.send_request(0, Request::new(token), |_, _| {}).expect("a free stream").id
}

#[test]
fn the_preface_and_our_settings_come_first() {
    let connection = h2client::Connection::new(Settings::default(), [].into());
    let rest = connection.outgoing().strip_prefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("the preface");
    let frames = frames(rest);
    assert_eq!((frames[0].0, frames[0].1, frames[0].2), (SETTINGS, 0, 0));
    let settings: Vec<(u16, u32)> = frames[0]
        .3
        .as_chunks::<6>()
        .0
        .iter()
        .map(|[a, b, value @ ..]| (u16::from_be_bytes([*a, *b]), u32::from_be_bytes(*value)))
        .collect();
    assert_eq!(settings, [(1, 4096), (2, 0), (4, 16 << 20), (6, 65_536)]);
    assert_eq!(frames[1], (WINDOW_UPDATE, 0, 0, ((16u32 << 20) - 65_535).to_be_bytes().to_vec()));
}

#[test]
fn many_requests_leave_in_one_write_and_answers_come_in_any_order() {
    let mut connection = connect(Settings::default());
    let ids: Vec<u32> = (0..3).map(|token| get(&mut connection, token)).collect();
    assert_eq!(ids, [1, 3, 5]);
    let sent = frames(&take(&mut connection));
    assert!(sent.iter().all(|(kind, flags, ..)| (*kind, *flags) == (HEADERS, END_HEADERS | END_STREAM)));
    assert_eq!(sent[1].3.len(), 4, "the second request takes one byte for each field");

    let mut bytes = greeting();
    bytes.extend(head(5, 0, &[(":status", "404"), ("content-length", "5")]));
    bytes.extend(head(1, 0, &[(":status", "200")]));
    bytes.extend(frame(DATA, 0, 5, b"he"));
    bytes.extend(frame(DATA, END_STREAM, 1, b""));
    bytes.extend(frame(DATA, END_STREAM | PADDED, 5, b"\x04llo\0\0\0\0"));
    bytes.extend(head(3, END_STREAM, &[(":status", "204")]));
    let (record, result) = feed(&mut connection, &bytes);
    result.expect("no error");
    assert_eq!(
        record.0,
        [
            Seen::Acknowledged,
            Seen::Head(2, 404, vec![]),
            Seen::Head(0, 200, vec![]),
            Seen::Body(2, b"hello".to_vec()),
            Seen::End(0),
            Seen::End(2),
            Seen::Head(1, 204, vec![]),
            Seen::End(1),
        ]
    );
    assert_eq!(frames(&take(&mut connection)), [(SETTINGS, ACK, 0, vec![])]);
    assert_eq!((connection.in_flight(), connection.available()), (0, 100));
}

#[test]
fn fields_are_shown_where_they_are_wanted() {
    let mut connection = connect(Settings::default());
    let wanting = Request { want_headers: true, ..Request::new(1) };
    connection.send_request(0, wanting, |_, _| {}).expect("a free stream");
    let mut bytes = greeting();
    bytes.extend(head(1, END_STREAM, &[(":status", "100")]));
    // An informational head that ends the stream is wrong; without the flag it is passed over.
    let (record, result) = feed(&mut connection, &bytes);
    result.expect("the connection stays open");
    assert!(matches!(record.0[1], Seen::Failed(1, Failure::Malformed(_))));

    connection.send_request(0, wanting, |_, _| {}).expect("a free stream");
    let mut bytes = head(3, 0, &[(":status", "103"), ("link", "</a.css>")]);
    bytes.extend(head(3, 0, &[(":status", "301"), ("location", "/b"), ("x-a", "1"), ("x-a", "")]));
    bytes.extend(head(3, END_STREAM, &[("checksum", "0")]));
    let (record, result) = feed(&mut connection, &bytes);
    result.expect("no error");
    let text = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    assert_eq!(
        record.0,
        [
            Seen::Head(1, 301, text(&[("location", "/b"), ("x-a", "1"), ("x-a", "")])),
            Seen::Trailers(1, text(&[("checksum", "0")])),
            Seen::End(1),
        ]
    );
}

#[test]
fn variable_values_of_any_length_are_sent() {
    for length in [1, 126, 127, 128, 300, 40_000] {
        let mut connection = connect(Settings::default());
        let path = vec![b'p'; length];
        connection.send_request(2, Request::new(0), |_, output| output.extend_from_slice(&path)).expect("sent");
        let sent = frames(&take(&mut connection));
        let block: Vec<u8> = sent.iter().flat_map(|(.., payload)| payload.clone()).collect();
        assert!(block.ends_with(&path));
        assert_eq!(sent.len(), length / 16_384 + 1, "a head over 16 KiB continues in CONTINUATION");
        assert_eq!(sent.last().expect("a frame").1 & END_HEADERS, END_HEADERS);
        assert_eq!(sent[0].1 & END_STREAM, END_STREAM);
    }
}

#[test]
fn the_lower_limit_of_streams_holds() {
    let templates = [h2client::Template::new("GET", "http", "a.test", "/")];
    let mut connection =
        h2client::Connection::new(Settings { max_streams: 4, ..Settings::default() }, templates.into());
    assert_eq!(connection.available(), 1, "one, as long as the peer has said nothing");
    feed(&mut connection, &setting(3, 2)).1.expect("no error");
    get(&mut connection, 0);
    get(&mut connection, 1);
    assert_eq!(connection.send_request(0, Request::new(2), |_, _| {}), Err(Refusal::Busy));
    feed(&mut connection, &setting(3, 50)).1.expect("no error");
    get(&mut connection, 2);
    get(&mut connection, 3);
    assert_eq!(connection.send_request(0, Request::new(4), |_, _| {}), Err(Refusal::Busy));
    feed(&mut connection, &frame(HEADERS, END_HEADERS | END_STREAM, 3, STATUS_200)).1.expect("no error");
    assert_eq!(connection.available(), 1);
}

#[test]
fn a_body_waits_for_the_windows() {
    let body: Arc<[u8]> = (0..200_000u32).map(|n| n.to_be_bytes()[3]).collect();
    for shared in [false, true] {
        let mut connection = connect(Settings::default());
        feed(&mut connection, &greeting()).1.expect("no error");
        take(&mut connection);
        let body_of = if shared { Body::Shared(&body) } else { Body::Bytes(&body) };
        let request = Request { body: body_of, ..Request::new(0) };
        connection.send_request(1, request, |_, _| {}).expect("a free stream");
        let mut got = Vec::new();
        let mut collect = |connection: &mut h2client::Connection| {
            let mut ended = false;
            for (kind, flags, _, payload) in frames(&take(connection)) {
                if kind == DATA {
                    assert!(!payload.is_empty() && payload.len() <= 16_384);
                    got.extend(payload);
                    ended = flags & END_STREAM != 0;
                }
            }
            (got.len(), ended)
        };
        assert_eq!(collect(&mut connection), (65_535, false));
        let more = |stream, bytes: u32| frame(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes());
        feed(&mut connection, &more(1, 1_000_000)).1.expect("no error");
        assert_eq!(collect(&mut connection), (65_535, false), "the connection's window is closed");
        feed(&mut connection, &more(0, 100_000)).1.expect("no error");
        assert_eq!(collect(&mut connection), (165_535, false));
        // A smaller initial window: the stream's goes below zero.
        feed(&mut connection, &setting(4, 0)).1.expect("no error");
        feed(&mut connection, &more(0, 1_000_000)).1.expect("no error");
        assert_eq!(collect(&mut connection), (200_000, true));
        assert_eq!(got, &body[..]);
    }
}

#[test]
fn a_body_is_not_rendered_far_ahead_of_the_socket() {
    let mut connection = connect(Settings::default());
    feed(&mut connection, &[setting(4, 0x7fff_ffff), frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0, 0, 0])].concat())
        .1
        .expect("no error");
    let body: Arc<[u8]> = vec![7; 5_000_000].into();
    let request = Request { body: Body::Shared(&body), ..Request::new(0) };
    connection.send_request(1, request, |_, _| {}).expect("a free stream");
    let mut sent = 0;
    while !connection.outgoing().is_empty() {
        assert!(connection.outgoing().len() < 300_000);
        let count = connection.outgoing().len().min(10_007);
        sent += count;
        connection.consume(count);
    }
    assert!((5_000_000..5_010_000).contains(&sent));
}

#[test]
fn an_answer_before_the_whole_request_is_taken_and_the_rest_kept_back() {
    let mut connection = connect(Settings::default());
    let request = Request { body: Body::Bytes(&vec![0; 100_000]), ..Request::new(9) };
    connection.send_request(1, request, |_, _| {}).expect("a free stream");
    take(&mut connection);
    let bytes = [greeting(), head(1, END_STREAM, &[(":status", "413")])].concat();
    let (record, result) = feed(&mut connection, &bytes);
    result.expect("no error");
    assert_eq!(record.0[1..], [Seen::Head(9, 413, vec![]), Seen::End(9)]);
    let sent = frames(&take(&mut connection));
    assert_eq!(sent.last(), Some(&(RST_STREAM, 0, 1, ErrorCode::CANCEL.0.to_be_bytes().to_vec())));
    // The peer may say that it does not want the rest.
    feed(&mut connection, &frame(RST_STREAM, 0, 1, &[0; 4])).1.expect("no error");
}

#[test]
fn windows_are_opened_again_when_half_used() {
    let mut connection = connect(Settings { window: 100_000, ..Settings::default() });
    get(&mut connection, 0);
    take(&mut connection);
    feed(&mut connection, &[greeting(), head(1, 0, &[(":status", "200")])].concat()).1.expect("no error");
    take(&mut connection);
    let mut updates = Vec::new();
    for _ in 0..60 {
        feed(&mut connection, &frame(DATA, 0, 1, &[0; 10_000])).1.expect("no error");
        updates.extend(frames(&take(&mut connection)));
    }
    assert_eq!(updates.len(), 2 * 12);
    let amount = 50_000u32.to_be_bytes().to_vec();
    assert_eq!(updates[..2], [(WINDOW_UPDATE, 0, 0, amount.clone()), (WINDOW_UPDATE, 0, 1, amount)]);
}

#[test]
fn a_cancelled_request_is_forgotten_and_what_still_comes_does_no_harm() {
    let mut connection = connect(Settings::default());
    let id = get(&mut connection, 0);
    get(&mut connection, 1);
    take(&mut connection);
    feed(&mut connection, &greeting()).1.expect("no error");
    take(&mut connection);
    assert!(connection.cancel(id) && !connection.cancel(id));
    assert_eq!(frames(&take(&mut connection)), [(RST_STREAM, 0, 1, vec![0, 0, 0, 8])]);
    // The first head puts a field into the header table, and the second uses it.
    let late = [&[0x88, 0x40][..], &field("x-a", "b")[1..]].concat();
    let mut bytes = frame(HEADERS, END_HEADERS, 1, &late);
    bytes.extend(frame(DATA, END_STREAM, 1, b"late"));
    bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, 3, &[0x88, 0xbe]));
    let (record, result) = feed(&mut connection, &bytes);
    result.expect("no error");
    assert_eq!(record.0, [Seen::Head(1, 200, vec![]), Seen::End(1)]);
}

#[test]
fn going_away_fails_what_was_not_looked_at_and_lets_the_rest_finish() {
    let mut connection = connect(Settings::default());
    for token in 0..3 {
        get(&mut connection, token);
    }
    let mut bytes = greeting();
    bytes.extend(frame(GOAWAY, 0, 0, &[0, 0, 0, 3, 0, 0, 0, 0, b'b', b'y', b'e']));
    bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, 3, STATUS_200));
    let (record, result) = feed(&mut connection, &bytes);
    result.expect("no error");
    assert_eq!(
        record.0[1..],
        [
            Seen::GoAway(3, ErrorCode::NO_ERROR),
            Seen::Failed(2, Failure::NotProcessed),
            Seen::Head(1, 200, vec![]),
            Seen::End(1)
        ]
    );
    assert_eq!(connection.send_request(0, Request::new(3), |_, _| {}), Err(Refusal::Draining));
    assert_eq!(
        connection.streams().map(|(stream, answered)| (stream.token, answered)).collect::<Vec<_>>(),
        [(0, false)]
    );
}

#[test]
fn resets_tell_a_refusal_from_a_failure() {
    let mut connection = connect(Settings::default());
    get(&mut connection, 0);
    get(&mut connection, 1);
    let mut bytes = greeting();
    bytes.extend(frame(RST_STREAM, 0, 1, &7u32.to_be_bytes()));
    bytes.extend(frame(RST_STREAM, 0, 3, &2u32.to_be_bytes()));
    let (record, result) = feed(&mut connection, &bytes);
    result.expect("no error");
    let reset = Failure::Reset(ErrorCode::INTERNAL_ERROR);
    assert_eq!(record.0[1..], [Seen::Failed(0, Failure::NotProcessed), Seen::Failed(1, reset)]);
    assert_eq!(reset.to_string(), "stream reset by the target: INTERNAL_ERROR");
}

#[test]
fn pings_are_answered_and_unknown_frames_passed_over() {
    let mut connection = connect(Settings::default());
    let mut bytes = greeting();
    bytes.extend(frame(PING, 0, 0, b"12345678"));
    bytes.extend(frame(PING, ACK, 0, b"12345678"));
    bytes.extend(frame(0xbe, 0xff, 77, b"anything"));
    bytes.extend(setting(0x99, 1));
    feed(&mut connection, &bytes).1.expect("no error");
    let sent = frames(&take(&mut connection));
    assert_eq!(sent, [(SETTINGS, ACK, 0, vec![]), (PING, ACK, 0, b"12345678".to_vec()), (SETTINGS, ACK, 0, vec![])]);
}

#[test]
fn an_answer_to_head_announces_what_does_not_come() {
    let mut connection = connect(Settings::default());
    connection.send_request(0, Request { head_request: true, ..Request::new(0) }, |_, _| {}).expect("a free stream");
    let bytes = [greeting(), head(1, END_STREAM, &[(":status", "200"), ("content-length", "5000")])].concat();
    let (record, result) = feed(&mut connection, &bytes);
    result.expect("no error");
    assert_eq!(record.0[2], Seen::End(0));
}

#[test]
fn a_head_sent_once_is_spelled_out() {
    let mut connection = connect(Settings::default());
    let fields: [(&[u8], &[u8]); 2] = [(b":method", b"GET"), (b"x-a", b"b")];
    connection.send_once(fields.into_iter(), Request::new(0)).expect("a free stream");
    let sent = frames(&take(&mut connection));
    assert_eq!(sent[0].3, b"\x02\x03GET\x00\x03x-a\x01b");
}
