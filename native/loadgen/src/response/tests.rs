use super::*;
use proptest::prelude::*;

const EXPECT: Expect = Expect { head_only: false };

fn reader() -> Reader {
    let mut reader = Reader::default();
    reader.start(EXPECT, 10_240, u64::MAX);
    reader
}

/// Feeds `pieces` until the response ends; gives what is left over of the input.
fn read<'a>(reader: &mut Reader, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<usize>, Fault> {
    let mut cache = HeadCache::default();
    for piece in pieces {
        if let Progress::Done(consumed) = reader.feed(piece, &mut cache)? {
            return Ok(Some(piece.len() - consumed));
        }
    }
    Ok(None)
}

const WHOLE: &[(&[u8], u16, &[u8], bool)] = &[
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", true),
    (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 204, b"", true),
    (b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", 304, b"", true),
    (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", false),
    (b"HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", true),
    (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, b"ok", false),
    (b"HTTP/1.1 200 OK\r\nX: a\r\n\tb\r\nContent-Length:\r\n 2\r\n\r\nok", 200, b"ok", true),
    (b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2, 2\r\n\r\nok", 200, b"ok", false),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3;a=\"b\"\r\nabc\r\n0A \r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n", 200, b"abc0123456789", true),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 201 \r\nContent-Length: 0\r\n\r\n", 201, b"", true),
];

#[test]
fn a_whole_response_is_read_in_one_piece_and_in_any_two() {
    for (bytes, status, body, keep_alive) in WHOLE {
        for cut in 0..=bytes.len() {
            let mut reader = reader();
            let mut pieces = bytes.to_vec();
            pieces.extend_from_slice(b"next");
            let (first, second) = pieces.split_at(cut);
            let left = read(&mut reader, [first, second]).unwrap();
            assert_eq!(
                left,
                Some(if cut == bytes.len() { 0 } else { 4 }),
                "cut at {cut} of {}",
                String::from_utf8_lossy(bytes)
            );
            let head = *reader.head().unwrap();
            assert_eq!((head.status, head.keep_alive), (*status, *keep_alive));
            assert_eq!(reader.received(), bytes.len() as u64);
            let last = if cut == bytes.len() { first } else { second };
            let raw = reader.raw(if cut == 0 || cut == bytes.len() { last } else { second });
            let whole = take_apart(raw, EXPECT).unwrap();
            assert_eq!(whole.body.as_ref(), *body);
        }
    }
}

#[test]
fn a_folded_value_is_shown_and_followed_in_one_line() {
    let raw = b"HTTP/1.1 302 Found\r\nX: a\r\n \t b \r\n\tc\r\nLocation: /x\r\n Y: z\r\n\r\n";
    let whole = take_apart(raw, EXPECT).unwrap();
    let values: Vec<_> = whole.headers.iter().map(|(_, value)| value.as_ref()).collect();
    assert_eq!(values, [b"a b c".as_slice(), b"/x Y: z"]);
    assert_eq!(whole.location.as_deref(), Some(b"/x Y: z".as_slice()));
}

#[test]
fn one_byte_at_a_time_is_the_same() {
    for (bytes, status, body, _) in WHOLE {
        let mut reader = reader();
        assert_eq!(read(&mut reader, bytes.chunks(1)).unwrap(), Some(0));
        assert_eq!(reader.head().unwrap().status, *status);
        assert_eq!(take_apart(reader.raw(b""), EXPECT).unwrap().body.as_ref(), *body);
    }
}

#[test]
fn a_response_cut_anywhere_is_not_whole() {
    for (bytes, ..) in WHOLE {
        for cut in 0..bytes.len() {
            let mut reader = reader();
            assert_eq!(read(&mut reader, [&bytes[..cut]]).unwrap(), None);
            assert!(!reader.end_of_input());
        }
    }
}

#[test]
fn without_a_length_the_connection_ends_the_body() {
    let mut reader = reader();
    assert_eq!(reader.feed(b"HTTP/1.1 200 OK\r\n\r\nabc", &mut HeadCache::default()).unwrap(), Progress::More);
    assert_eq!(reader.feed(b"def", &mut HeadCache::default()).unwrap(), Progress::More);
    assert!(reader.end_of_input());
    assert_eq!(take_apart(reader.raw(b""), EXPECT).unwrap().body.as_ref(), b"abcdef");
}

#[test]
fn an_answer_to_head_has_no_body() {
    let mut reader = Reader::default();
    reader.start(Expect { head_only: true }, 0, u64::MAX);
    let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n";
    assert_eq!(reader.feed(bytes, &mut HeadCache::default()).unwrap(), Progress::Done(bytes.len()));
}

#[test]
fn what_is_not_http_is_named() {
    let fault = |bytes: &[u8]| reader().feed(bytes, &mut HeadCache::default()).unwrap_err();
    assert_eq!(fault(b"SSH-2.0-OpenSSH\r\n"), Fault::Protocol("no HTTP version"));
    assert_eq!(fault(b"HTTP/1.1 2x0 OK\r\n\r\n"), Fault::Protocol("bad status line"));
    let framed = |headers: &str| fault(format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\nzz\r\n").as_bytes());
    assert_eq!(framed("Content-Length: 1\r\nContent-Length: 2"), Fault::Protocol("contradictory Content-Length"));
    assert_eq!(framed("Content-Length: +1"), Fault::Protocol("bad Content-Length"));
    assert_eq!(framed("Content-Length: 99999999999999999999"), Fault::Protocol("bad Content-Length"));
    assert_eq!(
        framed("Content-Length: 1\r\nTransfer-Encoding: chunked"),
        Fault::Protocol("both Content-Length and Transfer-Encoding")
    );
    assert_eq!(framed("Transfer-Encoding: chunked"), Fault::Protocol("bad chunk size"));
    assert_eq!(framed("Transfer-Encoding: chunked\r\n\r\n5 5"), Fault::Protocol("bad chunk size"));
    assert_eq!(fault(b"HTTP/1.1 101 Switching\r\n\r\n"), Fault::Protocol("it switched protocols unasked"));
}

#[test]
fn sizes_are_bounded() {
    let mut endless = reader();
    let mut outcome = Ok(Progress::More);
    assert_eq!(endless.feed(b"HTTP/1.1 200 OK\r\n", &mut HeadCache::default()), Ok(Progress::More));
    for _ in 0..10_000 {
        outcome = endless.feed(b"X-Header: aaaaaaaaaaaa\r\n", &mut HeadCache::default());
        if outcome.is_err() {
            break;
        }
    }
    assert_eq!(outcome, Err(Fault::HeadTooLarge));
    assert!(endless.raw.len() <= MOST_HEAD_BYTES + 100);

    let mut many = b"HTTP/1.1 200 OK\r\n".to_vec();
    (0..5000).for_each(|_| many.extend_from_slice(b"a:b\r\n"));
    many.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    assert_eq!(reader().feed(&many, &mut HeadCache::default()).unwrap(), Progress::Done(many.len()));

    let mut limited = Reader::default();
    limited.start(EXPECT, 0, 100);
    assert_eq!(
        limited.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n", &mut HeadCache::default()),
        Err(Fault::TooLarge)
    );
    limited.start(EXPECT, 0, 100);
    assert_eq!(limited.feed(b"HTTP/1.1 200 OK\r\n\r\n", &mut HeadCache::default()).unwrap(), Progress::More);
    assert_eq!(limited.feed(&[0; 100], &mut HeadCache::default()), Ok(Progress::More));
    assert_eq!(limited.feed(&[0; 1], &mut HeadCache::default()), Err(Fault::TooLarge));
}

#[test]
fn a_large_body_is_not_kept_whole() {
    let mut reader = reader();
    assert_eq!(
        reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n", &mut HeadCache::default()).unwrap(),
        Progress::More
    );
    for _ in 0..99 {
        assert_eq!(reader.feed(&vec![b'x'; 100_000], &mut HeadCache::default()).unwrap(), Progress::More);
    }
    assert!(reader.raw.len() < 20_000);
    assert_eq!(reader.feed(&vec![b'x'; 100_000], &mut HeadCache::default()).unwrap(), Progress::Done(100_000));
}

#[test]
fn a_head_that_was_read_before_says_the_same_again() {
    let mut cache = HeadCache::default();
    for (bytes, status, ..) in WHOLE.iter().flat_map(|row| [row, row, row]) {
        for head_only in [false, true] {
            let mut fresh = Reader::default();
            fresh.start(Expect { head_only }, 0, u64::MAX);
            let mut cached = Reader::default();
            cached.start(Expect { head_only }, 0, u64::MAX);
            assert_eq!(fresh.feed(bytes, &mut HeadCache::default()), cached.feed(bytes, &mut cache));
            assert_eq!((fresh.head(), cached.head().unwrap().status), (cached.head(), *status));
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..10)) {
        let mut reader = reader();
        let _ = read(&mut reader, pieces.iter().map(Vec::as_slice));
    }

    #[test]
    fn random_bytes_after_a_head_never_panic(
        body in prop::collection::vec(prop::sample::select(b"0123456789abcdef\r\n;: x".to_vec()), 0..400),
        cut in 1_usize..50,
    ) {
        let mut reader = reader();
        let bytes = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".as_slice(), &body].concat();
        let in_pieces = read(&mut reader, bytes.chunks(cut)).map(|left| left.is_some());
        let mut again = Reader::default();
        again.start(EXPECT, 10_240, u64::MAX);
        let at_once = read(&mut again, [bytes.as_slice()]).map(|left| left.is_some());
        prop_assert_eq!(in_pieces, at_once);
    }

    #[test]
    fn wrong_bytes_are_never_taken_for_whole_by_the_way_they_come(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cuts in prop::collection::vec(1_usize..40, 1..10),
    ) {
        let bytes = changed(WHOLE[which.index(WHOLE.len())].0, &changes);
        let mut whole = reader();
        let at_once = read(&mut whole, [bytes.as_slice()]).map(|left| left.is_some());
        let mut rest = bytes.as_slice();
        let mut cuts = cuts.iter().cycle();
        let pieces = std::iter::from_fn(|| {
            let (piece, after) = rest.split_at((*cuts.next()?).min(rest.len()));
            rest = after;
            (!piece.is_empty()).then_some(piece)
        });
        let mut cut = reader();
        let in_pieces = read(&mut cut, pieces).map(|left| left.is_some());
        if at_once.is_err() {
            // In pieces it may take one more to find out.
            prop_assert_ne!(in_pieces, Ok(true));
        } else {
            prop_assert_eq!(in_pieces, at_once);
            prop_assert_eq!((cut.head(), cut.received()), (whole.head(), whole.received()));
        }
    }

    #[test]
    fn a_head_like_the_one_before_is_read_as_if_there_had_been_none(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        head_only in any::<bool>(),
    ) {
        let before = WHOLE[which.index(WHOLE.len())].0;
        let mut cache = HeadCache::default();
        let mut known = Reader::default();
        known.start(EXPECT, 0, u64::MAX);
        prop_assert!(known.feed(before, &mut cache).is_ok());
        let bytes = changed(before, &changes);
        let (mut cached, mut fresh) = (Reader::default(), Reader::default());
        cached.start(Expect { head_only }, 0, u64::MAX);
        fresh.start(Expect { head_only }, 0, u64::MAX);
        prop_assert_eq!(cached.feed(&bytes, &mut cache), fresh.feed(&bytes, &mut HeadCache::default()));
        prop_assert_eq!(cached.head(), fresh.head());
    }
}

fn changed(bytes: &[u8], changes: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, byte) in changes {
        let at = at.index(bytes.len());
        bytes[at] = *byte;
    }
    bytes
}
