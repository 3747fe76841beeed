//! HPACK tests against the examples of RFC 7541, appendix C, and against another implementation.

use httlib_hpack::{Decoder as OtherDecoder, Encoder as OtherEncoder};
use proptest::prelude::*;

use super::decoder::{CompressionError, Decoder, Repetition, Sink};
use super::encoder::Encoder;
use super::huffman;
use super::tables::Name;
use crate::template::{Template, Value};

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// A template, and the names and constant values of its fields.
type Expected = (Template, Vec<(Vec<u8>, Option<Vec<u8>>)>);

impl Sink for Pairs {
    fn field(&mut self, meaning: Name, name: &[u8], value: &[u8]) {
        assert_eq!(meaning, Name::of(name));
        self.push((name.to_vec(), value.to_vec()));
    }
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    (0..hexadecimal.len() / 2).map(|at| u8::from_str_radix(&hexadecimal[2 * at..2 * at + 2], 16).unwrap()).collect()
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Pairs, CompressionError> {
    let mut fields = Pairs::new();
    decoder.decode(block, &mut fields).map(|()| fields)
}

fn lines(fields: &Pairs) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    fields.iter().map(|(name, value)| format!("{}: {}", text(name), text(value))).collect()
}

fn check(decoder: &mut Decoder, hexadecimal: &str, expected: &[&str]) {
    assert_eq!(lines(&decode(decoder, &bytes(hexadecimal)).unwrap()), expected);
}

#[test]
fn single_fields_decode_as_in_appendix_c_2() {
    let examples = [
        ("400a637573746f6d2d6b65790d637573746f6d2d686561646572", "custom-key: custom-header"),
        ("040c2f73616d706c652f70617468", ":path: /sample/path"),
        ("100870617373776f726406736563726574", "password: secret"),
        ("82", ":method: GET"),
    ];
    for (block, field) in examples {
        check(&mut Decoder::new(), block, &[field]);
    }
}

#[test]
fn requests_decode_as_in_appendix_c_3_and_c_4() {
    let plain = [
        "828684410f7777772e6578616d706c652e636f6d",
        "828684be58086e6f2d6361636865",
        "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
    ];
    let huffman = [
        "828684418cf1e3c2e5f23a6ba0ab90f4ff",
        "828684be5886a8eb10649cbf",
        "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
    ];
    let host = ":authority: www.example.com";
    for blocks in [plain, huffman] {
        let mut decoder = Decoder::new();
        check(&mut decoder, blocks[0], &[":method: GET", ":scheme: http", ":path: /", host]);
        check(&mut decoder, blocks[1], &[":method: GET", ":scheme: http", ":path: /", host, "cache-control: no-cache"]);
        let third = [":method: GET", ":scheme: https", ":path: /index.html", host, "custom-key: custom-value"];
        check(&mut decoder, blocks[2], &third);
        assert_eq!(decoder.size(), 164);
    }
}

#[test]
fn responses_decode_with_eviction_as_in_appendix_c_5_and_c_6() {
    let plain = [
        "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54\
         6e1768747470733a2f2f7777772e6578616d706c652e636f6d",
        "4803333037c1c0bf",
        "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b4851\
         4b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31",
    ];
    let huffman = [
        "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
        "4883640effc1c0bf",
        "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af2708\
         7f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
    ];
    let (date, later) = ("date: Mon, 21 Oct 2013 20:13:21 GMT", "date: Mon, 21 Oct 2013 20:13:22 GMT");
    let location = "location: https://www.example.com";
    let cookie = "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
    for blocks in [plain, huffman] {
        let mut decoder = Decoder::new();
        check(&mut decoder, "3fe101", &[]); // a table of 256 bytes
        check(&mut decoder, blocks[0], &[":status: 302", "cache-control: private", date, location]);
        assert_eq!(decoder.size(), 222);
        check(&mut decoder, blocks[1], &[":status: 307", "cache-control: private", date, location]);
        assert_eq!(decoder.size(), 222);
        let third = [":status: 200", "cache-control: private", later, location, "content-encoding: gzip", cookie];
        check(&mut decoder, blocks[2], &third);
        assert_eq!(decoder.size(), 215);
    }
}

#[test]
fn blocks_that_nobody_can_mean_are_errors() {
    for block in [
        "80",             // index 0
        "be",             // the dynamic table is empty
        "7f00",           // as a name, too
        "ff",             // a number that does not end
        "ffffffffffff7f", // one that is too large
        "400161",         // no value
        "4001610562",     // a value that is shorter than it says
        "0001618118",     // Huffman padding of zeros
        "8220",           // a table size after a field
        "3fe21f",         // a table over the default
    ] {
        assert!(decode(&mut Decoder::new(), &bytes(block)).is_err(), "{block}");
    }
}

#[test]
fn an_entry_larger_than_the_table_empties_it() {
    let mut decoder = Decoder::new();
    check(&mut decoder, "4001610162", &["a: b"]);
    assert_eq!(decoder.size(), 34);
    let mut block = bytes("4001617fa11e"); // a value of 4,000 bytes
    block.extend_from_slice(&[b'v'; 4000]);
    assert_eq!(decode(&mut decoder, &block).unwrap()[0].1.len(), 4000);
    assert_eq!(decoder.size(), 34 + 4033);
    let mut block = bytes("4001617fa11f"); // of 4,128
    block.extend_from_slice(&[b'v'; 4128]);
    assert_eq!(decode(&mut decoder, &block).unwrap()[0].1.len(), 4128);
    assert_eq!(decoder.size(), 0);
}

#[test]
fn a_smaller_table_must_be_announced_before_the_next_field() {
    let mut decoder = Decoder::new();
    decoder.set_limit(0);
    assert!(decode(&mut decoder, &[0x88]).is_err());
    let mut decoder = Decoder::new();
    decoder.set_limit(0);
    check(&mut decoder, "2088", &[":status: 200"]);
    check(&mut decoder, "4001610162", &["a: b"]);
    assert_eq!(decoder.size(), 0);
}

#[test]
fn a_constant_head_takes_a_byte_for_each_field_after_its_first_use() {
    let mut template = Template::new("GET", "https", "shop.test", "/items?page=2");
    assert!(template.header(b"User-Agent", "atm"));
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
    let mut lengths = Vec::new();
    for _ in 0..4 {
        let mut block = Vec::new();
        encoder.encode(0, &template, &mut block, |_, _| {});
        lengths.push(block.len());
        let expected =
            [":method: GET", ":scheme: https", ":authority: shop.test", ":path: /items?page=2", "user-agent: atm"];
        assert_eq!(lines(&decode(&mut decoder, &block).unwrap()), expected);
    }
    assert_eq!(lengths[1..], [5, 5, 5]);
}

#[test]
fn what_the_peer_says_about_its_table_is_heeded_at_any_time() {
    let mut first = Template::new("GET", "http", "a.test", "/one");
    first.header(b"x-id", Value::Variable);
    let second = Template::new("POST", "http", "a.test", "/two");
    let templates = [first, second];
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
    for round in 0..60 {
        if let Some(limit) = [None, Some(0), Some(70), None, Some(8192)][round / 6 % 5] {
            encoder.set_limit(limit);
            decoder.set_limit(limit.min(4096));
        }
        let mut block = Vec::new();
        encoder.encode(round % 2, &templates[round % 2], &mut block, |_, output| output.extend_from_slice(b"7"));
        let path = [":path: /one", ":path: /two"][round % 2];
        let fields = lines(&decode(&mut decoder, &block).unwrap());
        assert_eq!((fields[2].as_str(), fields[3].as_str()), (":authority: a.test", path));
    }
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::sample::select(vec!["date", "server", "content-type", "x-a", "x-b", "location", "etag", "via"])
            .prop_map(|name| name.as_bytes().to_vec()),
        // A template leaves out TE, as HTTP/2 knows it with one value only.
        "[a-z-]{1,12}".prop_filter("left out of templates", |name| name != "te").prop_map(String::into_bytes),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[ -~]{0,40}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..40),
        (100usize..6000).prop_map(|length| vec![b'v'; length]),
        prop::sample::select(vec!["gzip", "text/html", "/", "1"]).prop_map(|value| value.as_bytes().to_vec()),
    ]
}

/// A field as encoded in a block: from either table, or a literal that is added to the table or not.
fn raw_field() -> impl Strategy<Value = Vec<u8>> {
    let literal = |pattern: u8| {
        ("[a-c]{1,2}", "[x-z]{0,30}").prop_map(move |(name, value)| {
            let text = |text: String| [vec![u8::try_from(text.len()).unwrap()], text.into_bytes()].concat();
            [vec![pattern], text(name), text(value)].concat()
        })
    };
    prop_oneof![
        1 => (0x88u8..0x8f).prop_map(|index| vec![index]),
        1 => (0xbeu8..0xc2).prop_map(|index| vec![index]),
        4 => literal(0x40),
        1 => literal(0x00),
        1 => "[x-z]{0,30}".prop_map(|value| [vec![0x7e, u8::try_from(value.len()).unwrap()], value.into_bytes()].concat()),
    ]
}

#[test]
fn a_block_that_fills_the_table_is_passed_over_in_the_end() {
    let block = bytes("88400161016240016301644001650166");
    let (mut decoder, mut repetition) = (Decoder::new(), Repetition::default());
    let times = (0..100).filter(|_| {
        let known = repetition.is_known(&block);
        if !known {
            repetition.decode(&mut decoder, &block, &mut Pairs::new()).unwrap();
        }
        !known
    });
    assert_eq!(times.count(), 4096usize.div_ceil(3 * 34));
    assert!(!repetition.is_known(&block[1..]));
    repetition.forget();
    assert!(!repetition.is_known(&block));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn huffman_decodes_what_was_encoded(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut decoded = b"before".to_vec();
        prop_assert!(huffman::decode(&huffman::tests::encode(&text), &mut decoded));
        prop_assert_eq!(&decoded[6..], &text[..]);
    }

    #[test]
    fn what_another_encoder_writes_is_read(
        blocks in prop::collection::vec(prop::collection::vec((name(), value(), 0u8..32), 0..12), 1..30)
    ) {
        let (mut encoder, mut decoder) = (OtherEncoder::with_dynamic_size(4096), Decoder::new());
        for fields in blocks {
            let mut block = Vec::new();
            let mut expected = Pairs::new();
            for (name, value, flags) in fields {
                encoder.encode((name.clone(), value.clone(), flags), &mut block).unwrap();
                expected.push((name, value));
            }
            prop_assert_eq!(decode(&mut decoder, &block).unwrap(), expected);
        }
    }

    #[test]
    fn what_we_write_is_read_by_another_decoder(
        heads in prop::collection::vec(prop::collection::vec((name(), value(), 0u8..3), 0..8), 1..80),
        order in prop::collection::vec((any::<prop::sample::Index>(), value()), 1..60),
    ) {
        let heads: Vec<Expected> = heads.into_iter().map(|fields| {
            let mut template = Template::new("GET", "https", "a.test", Value::Variable);
            let mut expected = Vec::new();
            for (name, value, kind) in fields {
                let given = match kind { 0 => Value::Variable, 1 => Value::Secret, _ => Value::Constant(value[..].into()) };
                template.header(&name, given);
                expected.push((name, (kind > 1).then_some(value)));
            }
            (template, expected)
        }).collect();
        let (mut encoder, mut ours) = (Encoder::new(), Decoder::new());
        let mut other = OtherDecoder::with_dynamic_size(4096);
        for (at, variable) in order {
            let at = at.index(heads.len());
            let mut block = Vec::new();
            encoder.encode(at, &heads[at].0, &mut block, |_, output| output.extend_from_slice(&variable));
            let read = decode(&mut ours, &block).unwrap();
            prop_assert_eq!(&read[3], &(b":path".to_vec(), variable.clone()));
            for ((name, value), (expected_name, expected)) in read[4..].iter().zip(&heads[at].1) {
                prop_assert_eq!(name, expected_name);
                prop_assert_eq!(value, expected.as_ref().unwrap_or(&variable));
            }
            let mut fields = Vec::new();
            other.decode(&mut block, &mut fields).unwrap();
            let theirs: Pairs = fields.into_iter().map(|(name, value, _)| (name, value)).collect();
            prop_assert_eq!(theirs, read);
        }
    }

    #[test]
    fn a_block_that_is_passed_over_would_have_told_and_changed_nothing(
        table in prop::sample::select(vec![0usize, 40, 100, 300, 4096]),
        pool in prop::collection::vec(prop::collection::vec(raw_field(), 0..5), 3),
        order in prop::collection::vec((0usize..3, prop_oneof![1usize..4, 1usize..60]), 1..12),
    ) {
        let pool: Vec<Vec<u8>> = pool.into_iter().map(|fields| fields.concat()).collect();
        let (mut plain, mut quick, mut repetition) = (Decoder::new(), Decoder::new(), Repetition::default());
        let mut size = Vec::new();
        super::encoder::append_integer(&mut size, 0x20, 5, table);
        decode(&mut plain, &size).unwrap();
        decode(&mut quick, &size).unwrap();
        let mut pairs = Pairs::new();
        for (nth, times) in order {
            for _ in 0..times {
                let expected = decode(&mut plain, &pool[nth]);
                let mut result = Ok(());
                if !repetition.is_known(&pool[nth]) {
                    pairs.clear();
                    result = repetition.decode(&mut quick, &pool[nth], &mut pairs);
                }
                prop_assert_eq!(result.map(|()| pairs.clone()), expected.clone());
                prop_assert_eq!(quick.size(), plain.size());
                if expected.is_err() {
                    return Ok(());
                }
            }
        }
    }

    #[test]
    fn any_bytes_decode_or_do_not(block in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut decoder = Decoder::new();
        let _ = decode(&mut decoder, &block).map(|_| decode(&mut decoder, &block));
        prop_assert!(decoder.size() <= 4096);
    }
}
