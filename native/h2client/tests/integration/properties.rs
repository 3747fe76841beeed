//! However the bytes are cut and whatever they are, a connection says the same, and neither panics nor grows.

use crate::wire::{
    self, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, PING, Record, connect, field, frame, greeting,
    head, setting, take,
};
use h2client::{Body, Connection, ConnectionError, Request, Settings};
use proptest::prelude::*;

/// Three requests in flight, one with a body that waits.
fn busy() -> Connection {
    let mut connection = connect(Settings::default());
    for token in 0..2 {
        let request = Request { want_headers: token == 0, ..Request::new(token) };
        connection.send_request(0, request, |_, _| {}).expect("a free stream");
    }
    let request = Request { body: Body::Bytes(&vec![0; 70_000]), ..Request::new(2) };
    connection.send_request(1, request, |_, _| {}).expect("a free stream");
    take(&mut connection);
    connection
}

/// Valid answers to the requests of [`busy`], with a frame of nearly every kind.
fn script() -> Vec<u8> {
    let mut bytes = greeting();
    bytes.extend(setting(4, 80_000));
    bytes.extend(head(1, 0, &[(":status", "103"), ("link", "a")]));
    bytes.extend(frame(PING, 0, 0, b"12345678"));
    let block: Vec<u8> = [&[0x88][..], &field("location", "/b"), &field("content-length", "6")].concat();
    bytes.extend(frame(HEADERS, 0, 1, &block[..5]));
    bytes.extend(frame(CONTINUATION, 0, 1, &block[5..9]));
    bytes.extend(frame(CONTINUATION, END_HEADERS, 1, &block[9..]));
    bytes.extend(frame(DATA, 0, 1, b"abc"));
    bytes.extend(frame(0x77, 1, 9, b"unknown"));
    bytes.extend(frame(HEADERS, END_HEADERS | PADDED | 0x20, 3, &[3, 0, 0, 0, 0, 16, 0x88, 0, 0, 0]));
    bytes.extend(frame(DATA, PADDED, 1, b"\x02def\0\0"));
    bytes.extend(head(1, END_STREAM, &[("checksum", "7")]));
    bytes.extend(frame(DATA, END_STREAM, 3, b"rest"));
    bytes.extend(frame(8, 0, 0, &[0, 0, 255, 255]));
    bytes.extend(head(5, END_STREAM, &[(":status", "500")]));
    bytes.extend(frame(7, 0, 0, &[0, 0, 0, 5, 0, 0, 0, 0]));
    bytes
}

/// All that can be seen of a connection that was fed `pieces`.
fn outcome<'a>(mut pieces: impl Iterator<Item = &'a [u8]>) -> (Record, Option<ConnectionError>, Vec<u8>) {
    let mut connection = busy();
    let mut record = Record::default();
    let error = pieces.find_map(|piece| connection.receive(piece, &mut record).err());
    let sent = take(&mut connection);
    (record, error, sent)
}

#[test]
fn cut_at_every_byte_it_means_the_same() {
    let script = script();
    let whole = outcome([&script[..]].into_iter());
    assert_eq!(whole.1, None);
    assert_eq!(whole.0.0.iter().filter(|seen| matches!(seen, wire::Seen::End(_))).count(), 3);
    assert_eq!(outcome(script.chunks(1)), whole);
    for at in 0..=script.len() {
        assert_eq!(outcome([&script[..at], &script[at..]].into_iter()), whole, "cut at {at}");
    }
}

#[test]
fn truncated_at_every_byte_it_tells_a_part_of_the_same() {
    let script = script();
    let whole = outcome([&script[..]].into_iter());
    for at in 0..script.len() {
        let (record, error, _) = outcome([&script[..at]].into_iter());
        assert_eq!(error, None, "truncated at {at}");
        assert!(record.0.len() <= whole.0.0.len());
    }
}

/// A frame that looks like one, right or wrong.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let stream = prop_oneof![5 => prop::sample::select(vec![0u32, 1, 3, 5, 7]), 1 => any::<u32>()];
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        Just(vec![0x88]),
        Just([&[0x88][..], &field("content-length", "3")].concat()),
        prop::collection::vec(any::<u8>(), 6 * 3),
        any::<[u8; 8]>().prop_map(Vec::from),
        (0u32..100_000).prop_map(|word| word.to_be_bytes().to_vec()),
    ];
    (0u8..11, any::<u8>(), stream, payload).prop_map(|(kind, flags, stream, payload)| {
        // More often without padding and priority, and with whole blocks.
        let flags = if flags < 128 { flags & 1 | END_HEADERS } else { flags };
        frame(kind, flags, stream, &payload)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_frames_mean_the_same_however_they_are_cut(
        list in prop::collection::vec(any_frame(), 0..30),
        cuts in prop::collection::vec(1usize..60, 1..40),
    ) {
        let bytes = [greeting(), list.concat()].concat();
        let whole = outcome([&bytes[..]].into_iter());
        prop_assert_eq!(&outcome(bytes.chunks(1)), &whole);
        let mut rest = &bytes[..];
        let mut cuts = cuts.iter().cycle();
        let pieces = std::iter::from_fn(|| {
            let (piece, after) = rest.split_at((*cuts.next()?).min(rest.len()));
            rest = after;
            (!piece.is_empty()).then_some(piece)
        });
        prop_assert_eq!(&outcome(pieces), &whole);
    }

    #[test]
    fn a_script_with_wrong_bytes_ends_well_or_with_an_error(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)
    ) {
        let mut script = script();
        for (at, byte) in changes {
            let at = at.index(script.len());
            script[at] = byte;
        }
        prop_assert_eq!(outcome([&script[..]].into_iter()), outcome(script.chunks(1)));
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..2000), greeted in any::<bool>()) {
        let bytes = if greeted { [greeting(), bytes].concat() } else { bytes };
        let (_, _, sent) = outcome([&bytes[..]].into_iter());
        prop_assert!(sent.len() < 100_000);
    }
}
