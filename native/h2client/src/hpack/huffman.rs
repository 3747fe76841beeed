//! The Huffman code of RFC 7541, appendix B.
//!
//! The code is canonical: codes increase with their length, and with the symbol within a length, so the lengths define
//! it. Decoding looks up ten bits at once, which covers every letter and digit; longer codes, rare in ordinary fields,
//! are found by comparison with the first code of each length.

/// Bits in the code of each symbol; the last is the end of string.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
    28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12,
    10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6,
    5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22,
    22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20,
    22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28,
    27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28,
    27, 27, 27, 27, 27, 26, 30,
];

const LONGEST: usize = 30;
const END_OF_STRING: u16 = 256;
const LOOKUP_BITS: u32 = 10;

/// The canonical code: symbols in the order of their codes, and the start of each length.
struct Code {
    symbols: [u16; 257],
    /// The first code of each length.
    first: [u32; LONGEST + 1],
    /// The position in `symbols` of the first code of each length.
    start: [u16; LONGEST + 1],
    /// Number of codes of each length.
    count: [u16; LONGEST + 1],
}

const CODE: Code = {
    let mut code = Code { symbols: [0; 257], first: [0; 31], start: [0; 31], count: [0; 31] };
    let mut next = 0u32;
    let mut position = 0;
    let mut length = 1;
    while length <= LONGEST {
        next <<= 1;
        code.first[length] = next;
        code.start[length] = position;
        let mut symbol = 0u16;
        while symbol < 257 {
            if LENGTHS[symbol as usize] as usize == length {
                code.symbols[position as usize] = symbol;
                position += 1;
                next += 1;
            }
            symbol += 1;
        }
        code.count[length] = position - code.start[length];
        length += 1;
    }
    code
};

#[allow(clippy::cast_possible_truncation)] // a length is at most ten
/// For each ten bits, the symbol whose code they start with (low byte) and its length (high byte); 0 for longer codes.
static LOOKUP: [u16; 1 << LOOKUP_BITS] = {
    let mut table = [0u16; 1 << LOOKUP_BITS];
    let mut length = 1;
    while length <= LOOKUP_BITS {
        let mut nth = 0;
        while nth < CODE.count[length as usize] {
            let symbol = CODE.symbols[(CODE.start[length as usize] + nth) as usize];
            let begin = (CODE.first[length as usize] + nth as u32) << (LOOKUP_BITS - length);
            let mut offset = 0;
            while offset < 1 << (LOOKUP_BITS - length) {
                table[(begin + offset) as usize] = symbol | ((length as u16) << 8);
                offset += 1;
            }
            nth += 1;
        }
        length += 1;
    }
    table
};

static CODE_TABLE: Code = CODE;

/// Most bytes that `encoded` bytes can decode to: the shortest code has five bits.
pub(crate) fn longest_text(encoded: usize) -> usize {
    encoded * 8 / 5
}

/// Decodes `encoded`, appended to `text`; returns false for an invalid string, of which `text` then holds a part.
pub(crate) fn decode(encoded: &[u8], text: &mut Vec<u8>) -> bool {
    let begin = text.len();
    text.resize(begin + longest_text(encoded.len()), 0);
    let written = decode_into(encoded, &mut text[begin..]);
    text.truncate(begin + written.unwrap_or(0));
    written.is_some()
}

/// Decodes into `text`, which has room for [`longest_text`]; returns the number of bytes.
#[inline]
#[allow(clippy::cast_possible_truncation)] // the low byte is the symbol
fn decode_into(encoded: &[u8], text: &mut [u8]) -> Option<usize> {
    let mut bits = 0u64; // left-aligned
    let mut available = 0u32;
    let mut written = 0;
    let mut rest = encoded;
    loop {
        // Up to 56 bits at a time, so that a refill is rare.
        if let Some(eight) = rest.first_chunk::<8>() {
            let bytes = (63 - available) / 8;
            bits |= u64::from_be_bytes(*eight) >> available;
            available += bytes * 8;
            // Bits beyond the whole bytes taken were or-ed in as well: the next refill ors the same ones again.
            rest = &rest[bytes as usize..];
        } else {
            while available <= 55
                && let Some((byte, others)) = rest.split_first()
            {
                bits |= u64::from(*byte) << (56 - available);
                available += 8;
                rest = others;
            }
        }
        if available < LOOKUP_BITS {
            break;
        }
        while available >= LOOKUP_BITS {
            let entry = LOOKUP[(bits >> (64 - LOOKUP_BITS)) as usize];
            let length = u32::from(entry >> 8);
            if length == 0 {
                if available < LONGEST as u32 && !rest.is_empty() {
                    break; // refill first
                }
                let (symbol, length) = long_code(bits, available)?;
                *text.get_mut(written)? = symbol;
                written += 1;
                bits <<= length;
                available -= length;
                continue;
            }
            *text.get_mut(written)? = entry as u8;
            written += 1;
            bits <<= length;
            available -= length;
        }
    }
    // The end: fewer than ten bits, of which the last up to seven are padding, all ones.
    while available > 0 {
        let mask = u64::MAX << (64 - available);
        let entry = LOOKUP[((bits & mask) >> (64 - LOOKUP_BITS)) as usize];
        let length = u32::from(entry >> 8);
        if length == 0 || length > available {
            break;
        }
        *text.get_mut(written)? = entry as u8;
        written += 1;
        bits <<= length;
        available -= length;
    }
    let padding_is_ones = available == 0 || bits >> (64 - available) == (1 << available) - 1;
    (available < 8 && padding_is_ones).then_some(written)
}

/// The first symbol in `bits` if its code is longer than [`LOOKUP_BITS`], and that length.
#[cold]
#[allow(clippy::cast_possible_truncation)] // a code has up to 30 bits, and a symbol below 256 fits a byte
fn long_code(bits: u64, available: u32) -> Option<(u8, u32)> {
    for length in LOOKUP_BITS + 1..=(LONGEST as u32).min(available) {
        let code = (bits >> (64 - length)) as u32;
        let nth = code.wrapping_sub(CODE_TABLE.first[length as usize]);
        if nth < u32::from(CODE_TABLE.count[length as usize]) {
            let symbol = CODE_TABLE.symbols[CODE_TABLE.start[length as usize] as usize + nth as usize];
            return (symbol != END_OF_STRING).then_some((symbol as u8, length));
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;

    /// Encodes with the canonical code, bit by bit.
    pub(crate) fn encode(text: &[u8]) -> Vec<u8> {
        let mut codes = [(0u32, 0u8); 257];
        for length in 1..=LONGEST {
            for nth in 0..CODE.count[length] {
                let symbol = CODE.symbols[usize::from(CODE.start[length] + nth)];
                codes[usize::from(symbol)] = (CODE.first[length] + u32::from(nth), u8::try_from(length).unwrap());
            }
        }
        let mut bits: Vec<bool> = Vec::new();
        for byte in text {
            let (code, length) = codes[usize::from(*byte)];
            bits.extend((0..length).rev().map(|bit| code >> bit & 1 == 1));
        }
        while !bits.len().is_multiple_of(8) {
            bits.push(true);
        }
        bits.chunks(8).map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | u8::from(*bit))).collect()
    }

    fn decoded(encoded: &[u8]) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        decode(encoded, &mut text).then_some(text)
    }

    #[test]
    fn the_strings_of_appendix_c_decode() {
        let examples: [(&str, &[u8]); 6] = [
            ("f1e3c2e5f23a6ba0ab90f4ff", b"www.example.com"),
            ("a8eb10649cbf", b"no-cache"),
            ("25a849e95ba97d7f", b"custom-key"),
            ("25a849e95bb8e8b4bf", b"custom-value"),
            ("d07abe941054d444a8200595040b8166e082a62d1bff", b"Mon, 21 Oct 2013 20:13:21 GMT"),
            (
                "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
                b"foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
            ),
        ];
        for (hexadecimal, text) in examples {
            let encoded: Vec<u8> = (0..hexadecimal.len() / 2)
                .map(|at| u8::from_str_radix(&hexadecimal[2 * at..2 * at + 2], 16).unwrap())
                .collect();
            assert_eq!(decoded(&encoded).as_deref(), Some(text));
            assert_eq!(encode(text), encoded);
        }
    }

    #[test]
    fn every_byte_decodes_next_to_every_other() {
        for first in 0..=255u8 {
            for second in 0..=255u8 {
                let text = [first, second, first];
                assert_eq!(decoded(&encode(&text)).as_deref(), Some(&text[..]));
            }
        }
        let all: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
        assert_eq!(decoded(&encode(&all)), Some(all));
    }

    #[test]
    fn padding_is_less_than_a_byte_of_ones() {
        assert_eq!(decoded(b""), Some(vec![]));
        assert_eq!(decoded(&[0xff]), None);
        assert_eq!(decoded(&[0x1f]), Some(b"a".to_vec())); // 00011 and 111
        assert_eq!(decoded(&[0x1e]), None);
        assert_eq!(decoded(&[0x18]), None);
        assert_eq!(decoded(&[0x1f, 0xff]), None);
        assert_eq!(decoded(&[0xff, 0xff, 0xff, 0xff]), None, "the end of string is no symbol");
    }
}
