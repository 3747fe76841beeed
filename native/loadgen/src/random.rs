//! Random decisions as functions of (seed, request number), identical to those of `atm.plan.randomness`.
//!
//! splitmix64 (Steele, Lea, Flood 2014; finaliser by Stafford, variant 13) used as a hash: the state of draw `stream` of
//! request `n` is `seed + n * GAMMA + stream * STREAM`, modulo 2^64.

use crate::plan::program::{Distribution, RowPick};

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;
const STREAM: u64 = 0xD1B5_4A32_D192_ED03;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// The purpose of a draw, so that no two decisions of one request share a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// The first 64 bits of a UUID.
    UuidHigh = 1,
    /// The last 64 bits of a UUID.
    UuidLow = 2,
    /// `{{random_int}}`.
    RandomInt = 3,
    /// The weighted choice of a flow.
    Selection = 4,
    /// The gap before a Poisson arrival.
    Arrival = 5,
    /// A row of test data.
    Row = 6,
    /// The seed of a lane, by its index.
    Lane = 7,
    /// Places of a program are streams from here on.
    FirstPlace = 16,
}

/// Places of a plan are below this, so that those of two rounds are different streams.
pub const MOST_PLACES: u64 = 1 << 20;
/// One hour.
const LONGEST_THINK_NS: f64 = 3_600_000_000_000.0;
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// 64 random bits for decision `stream` of request `number` (1-based).
#[must_use]
pub fn draw(seed: u64, number: u64, stream: Stream) -> u64 {
    draw_of(seed, number, stream as u64)
}

fn draw_of(seed: u64, number: u64, stream: u64) -> u64 {
    let mut state = seed.wrapping_add(number.wrapping_mul(GAMMA)).wrapping_add(stream.wrapping_mul(STREAM));
    state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    state ^ (state >> 31)
}

/// 64 random bits as an integer in `0..bound`, by multiply and shift.
#[must_use]
pub fn below(bits: u64, bound: u64) -> u64 {
    // The product of two 64-bit numbers, shifted right by 64, fits 64 bits.
    ((u128::from(bits) * u128::from(bound)) >> 64) as u64
}

/// 64 random bits as an index into `length` items.
#[must_use]
#[allow(clippy::cast_possible_truncation)] // below a length
pub fn index(bits: u64, length: usize) -> usize {
    below(bits, length as u64) as usize
}

/// The `{{uuid}}` of request `number`: RFC 9562 version 4, lower case.
#[must_use]
pub fn uuid4(seed: u64, number: u64) -> [u8; 36] {
    uuid4_of(draw(seed, number, Stream::UuidHigh), draw(seed, number, Stream::UuidLow))
}

/// The UUID of 128 random bits.
#[must_use]
pub fn uuid4_of(high: u64, low: u64) -> [u8; 36] {
    let high = (high & !0xF000) | 0x4000;
    let low = (low & 0x3FFF_FFFF_FFFF_FFFF) | 0x8000_0000_0000_0000;
    let mut text = [b'-'; 36];
    let mut position = 0;
    for (index, byte) in high.to_be_bytes().into_iter().chain(low.to_be_bytes()).enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            position += 1;
        }
        text[position] = HEX[usize::from(byte >> 4)];
        text[position + 1] = HEX[usize::from(byte & 15)];
        position += 2;
    }
    text
}

/// The `{{random_int}}` of request `number`: 0 to 999,999.
#[must_use]
pub fn random_int(seed: u64, number: u64) -> u64 {
    below(draw(seed, number, Stream::RandomInt), 1_000_000)
}

/// A uniform number in (0, 1] for the gap before arrival `number`; the gap at unit rate is `-ln` of it.
#[must_use]
pub fn arrival_uniform(seed: u64, number: u64) -> f64 {
    unit(draw(seed, number, Stream::Arrival))
}

/// 64 random bits as a number in (0, 1].
#[allow(clippy::cast_precision_loss)] // 53 bits are exactly what an f64 holds
fn unit(bits: u64) -> f64 {
    ((bits >> 11) + 1) as f64 * (-53_f64).exp2()
}

/// 64 random bits for a place of a program in a round of an iteration.
#[must_use]
pub fn draw_at(seed: u64, iteration: u64, place: u64, round: u64) -> u64 {
    let stream = (Stream::FirstPlace as u64).wrapping_add(place).wrapping_add(round.wrapping_mul(MOST_PLACES));
    draw_of(seed, iteration, stream)
}

/// The UUID of a place: from the draws at `place` and `place + 1`.
#[must_use]
pub fn uuid4_at(seed: u64, iteration: u64, place: u64, round: u64) -> [u8; 36] {
    uuid4_of(draw_at(seed, iteration, place, round), draw_at(seed, iteration, place + 1, round))
}

/// 64 random bits as an integer from `low` to `high`, both included.
#[must_use]
pub fn int_within(bits: u64, low: i64, high: i64) -> i64 {
    // The bound may be 2^64; the product of two such numbers fits 128 bits, and the sum lies within the limits.
    let bound = (i128::from(high) - i128::from(low) + 1).max(1).unsigned_abs();
    low.wrapping_add_unsigned(((u128::from(bits) * bound) >> 64) as u64)
}

/// Lower-case letters and digits; character i (1-based) is draw (`first`, i, 0).
#[must_use]
pub fn random_string(first: u64, length: u64) -> String {
    (1..=length).map(|number| char::from(ALPHABET[index(draw_of(first, number, 0), 36)])).collect()
}

/// The index that 64 random bits select: the first whose cumulative weight exceeds `below(bits, total)`. The weights
/// of a plan are not all 0, and their sum fits.
#[must_use]
pub fn weighted_index(bits: u64, weights: &[u64]) -> usize {
    let mut drawn = below(bits, weights.iter().sum());
    weights
        .iter()
        .position(|weight| {
            let is_it = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            is_it
        })
        .unwrap_or(0)
}

/// A think time in ns, 0 to one hour; `more_bits` are used by `normal` only.
#[must_use]
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // below 2^53, not negative
pub fn think_ns(distribution: Distribution, first_ns: u64, second_ns: u64, bits: u64, more_bits: u64) -> u64 {
    let (first, second) = (first_ns as f64, second_ns as f64);
    let value = match distribution {
        Distribution::Fixed => return first_ns,
        Distribution::Uniform => return first_ns + below(bits, second_ns.saturating_sub(first_ns) + 1),
        Distribution::Exponential => -unit(bits).ln() * first,
        Distribution::Normal => {
            first + second * (-2.0 * unit(bits).ln()).sqrt() * (2.0 * std::f64::consts::PI * unit(more_bits)).cos()
        }
    };
    (value + 0.5).floor().clamp(0.0, LONGEST_THINK_NS) as u64
}

/// The 0-based row of data table `table` for user or iteration `number` (1-based). `rows` is not 0.
///
/// `in_order` and `shuffled` give every row once per pass of `rows` numbers; the permutation of a pass is a Feistel
/// network of four rounds on the smallest even number of bits that holds `rows`, walked until the result is a row
/// (Black and Rogaway 2002, "cycle walking").
#[must_use]
pub fn row_of(pick: RowPick, seed: u64, table: u64, rows: u64, number: u64) -> u64 {
    let stream = (Stream::Row as u64).wrapping_add(table << 40);
    if pick == RowPick::Random {
        return below(draw_of(seed, number, stream), rows);
    }
    let (passed, mut position) = ((number - 1) / rows, (number - 1) % rows);
    if pick == RowPick::InOrder {
        return position;
    }
    let bits = u64::BITS - (rows - 1).leading_zeros();
    let half = bits.div_ceil(2).max(1);
    let mask = (1_u64 << half) - 1;
    let key = draw_of(seed, passed + 1, stream);
    loop {
        let (mut left, mut right) = (position >> half, position & mask);
        for step in 1..5 {
            (left, right) = (right, left ^ (draw_of(key, right + 1, step) & mask));
        }
        position = (left << half) | right;
        if position < rows {
            return position;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unreadable_literal)] // as Python prints them
mod tests {
    use super::*;
    use serde::Deserialize;

    // The expected values were computed by atm.plan.randomness.
    #[test]
    fn draws_are_those_of_the_python_side() {
        assert_eq!(draw(0, 1, Stream::UuidHigh), PYTHON_DRAWS[0]);
        assert_eq!(draw(42, 7, Stream::Selection), PYTHON_DRAWS[1]);
        assert_eq!(draw(u64::MAX, u64::MAX, Stream::Arrival), PYTHON_DRAWS[2]);
        assert_eq!(&uuid4(42, 7), PYTHON_UUID);
        assert_eq!(random_int(42, 7), PYTHON_RANDOM_INT);
        assert_eq!(arrival_uniform(42, 7).to_bits(), PYTHON_UNIFORM.to_bits());
    }

    #[derive(Deserialize)]
    struct Cases {
        tolerance_ns: u64,
        draws: Vec<Draw>,
        strings: Vec<RandomText>,
        weights: Vec<Choice>,
        integers: Vec<Integer>,
        thinks: Vec<Think>,
        rows: Vec<Rows>,
    }

    #[derive(Deserialize)]
    struct Draw {
        seed: u64,
        iteration: u64,
        place: u64,
        round: u64,
        bits: u64,
        uuid: String,
    }

    #[derive(Deserialize)]
    #[allow(clippy::struct_field_names)] // as in the file
    struct RandomText {
        first: u64,
        length: u64,
        text: String,
    }

    #[derive(Deserialize)]
    struct Choice {
        bits: u64,
        weights: Vec<u64>,
        index: usize,
    }

    #[derive(Deserialize)]
    struct Integer {
        bits: u64,
        low: i64,
        high: i64,
        value: i64,
    }

    #[derive(Deserialize)]
    #[allow(clippy::struct_field_names)] // as in the file
    struct Think {
        distribution: Distribution,
        first_ns: u64,
        second_ns: u64,
        bits: u64,
        more_bits: u64,
        think_ns: u64,
    }

    #[derive(Deserialize)]
    #[allow(clippy::struct_field_names)] // as in the file
    struct Rows {
        pick: RowPick,
        seed: u64,
        table: u64,
        rows: u64,
        numbers: Vec<u64>,
        expected: Vec<u64>,
    }

    /// The tests of `atm.plan.randomness` read the same file.
    #[test]
    fn decisions_of_scenarios_are_those_of_the_python_side() {
        let cases: Cases = serde_json::from_str(include_str!("../../../tests/vectors/randomness.json")).unwrap();
        assert!(cases.draws.len() > 5 && cases.thinks.len() > 20 && cases.rows.len() > 10);
        for Draw { seed, iteration, place, round, bits, uuid } in cases.draws {
            assert_eq!(draw_at(seed, iteration, place, round), bits, "{seed} {iteration} {place} {round}");
            assert_eq!(&uuid4_at(seed, iteration, place, round), uuid.as_bytes());
        }
        for RandomText { first, length, text } in cases.strings {
            assert_eq!(random_string(first, length), text);
        }
        for Choice { bits, weights, index } in cases.weights {
            assert_eq!(weighted_index(bits, &weights), index, "{bits} {weights:?}");
        }
        for Integer { bits, low, high, value } in cases.integers {
            assert_eq!(int_within(bits, low, high), value, "{bits} {low} {high}");
        }
        for Think { distribution, first_ns, second_ns, bits, more_bits, think_ns: expected } in cases.thinks {
            let found = think_ns(distribution, first_ns, second_ns, bits, more_bits);
            let is_exact = matches!(distribution, Distribution::Fixed | Distribution::Uniform);
            let tolerance = if is_exact { 0 } else { cases.tolerance_ns };
            assert!(
                found.abs_diff(expected) <= tolerance,
                "{distribution:?} {first_ns} {second_ns}: {found} {expected}"
            );
        }
        for Rows { pick, seed, table, rows, numbers, expected } in cases.rows {
            let found: Vec<_> = numbers.iter().map(|number| row_of(pick, seed, table, rows, *number)).collect();
            assert_eq!(found, expected, "{pick:?} {rows}");
        }
    }

    const PYTHON_DRAWS: [u64; 3] = [0x2d0f28c7e7e786b2, 0xa2bc3e8d99ac3f7c, 0xedd396035cce86fd];
    const PYTHON_UUID: &[u8; 36] = b"b94e8d5c-4cae-45d1-8d6a-f6d2b49bfdb2";
    const PYTHON_RANDOM_INT: u64 = 710704;
    const PYTHON_UNIFORM: f64 = 0.09008637166316569;
}
