//! Random decisions as functions of (seed, request number), identical to those of `atm.plan.randomness`.
//!
//! splitmix64 (Steele, Lea, Flood 2014; finaliser by Stafford, variant 13) used as a hash: the state of draw `stream` of
//! request `n` is `seed + n * GAMMA + stream * STREAM`, modulo 2^64.

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
    /// The seed of a lane, by its index.
    Lane = 7,
}

/// 64 random bits for decision `stream` of request `number` (1-based).
#[must_use]
pub fn draw(seed: u64, number: u64, stream: Stream) -> u64 {
    let mut state = seed.wrapping_add(number.wrapping_mul(GAMMA)).wrapping_add((stream as u64).wrapping_mul(STREAM));
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

/// The `{{uuid}}` of request `number`: RFC 9562 version 4, lower case.
#[must_use]
pub fn uuid4(seed: u64, number: u64) -> [u8; 36] {
    let high = (draw(seed, number, Stream::UuidHigh) & !0xF000) | 0x4000;
    let low = (draw(seed, number, Stream::UuidLow) & 0x3FFF_FFFF_FFFF_FFFF) | 0x8000_0000_0000_0000;
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
#[allow(clippy::cast_precision_loss)] // 53 bits are exactly what an f64 holds
pub fn arrival_uniform(seed: u64, number: u64) -> f64 {
    ((draw(seed, number, Stream::Arrival) >> 11) + 1) as f64 * (-53_f64).exp2()
}

#[cfg(test)]
#[allow(clippy::unreadable_literal)] // as Python prints them
mod tests {
    use super::*;

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

    const PYTHON_DRAWS: [u64; 3] = [0x2d0f28c7e7e786b2, 0xa2bc3e8d99ac3f7c, 0xedd396035cce86fd];
    const PYTHON_UUID: &[u8; 36] = b"b94e8d5c-4cae-45d1-8d6a-f6d2b49bfdb2";
    const PYTHON_RANDOM_INT: u64 = 710704;
    const PYTHON_UNIFORM: f64 = 0.09008637166316569;
}
