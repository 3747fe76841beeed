//! Encodings of values, numbers and times.

use std::fmt::Write;

use super::Values;
use crate::plan::{Encoding, Variable};
use crate::random;

pub(super) const TIMESTAMP_LENGTH: usize = 32;
const NS_OF_400_YEARS: i128 = 146_097 * 86_400 * 1_000_000_000;

/// `value` in `encoding`.
#[must_use]
pub fn encoded(value: &str, encoding: Encoding) -> String {
    let mut text = String::with_capacity(value.len());
    // Writing to a String cannot fail, so the results are ignored.
    match encoding {
        Encoding::Raw | Encoding::JsonValue | Encoding::Header | Encoding::Target => text.push_str(value),
        Encoding::Percent => {
            for byte in value.bytes() {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    text.push(char::from(byte));
                } else {
                    let _ = write!(text, "%{byte:02X}");
                }
            }
        }
        Encoding::Json => {
            for character in value.chars() {
                match character {
                    '"' => text.push_str("\\\""),
                    '\\' => text.push_str("\\\\"),
                    '\n' => text.push_str("\\n"),
                    '\r' => text.push_str("\\r"),
                    '\t' => text.push_str("\\t"),
                    '\u{8}' => text.push_str("\\b"),
                    '\u{c}' => text.push_str("\\f"),
                    control if control < ' ' => {
                        let _ = write!(text, "\\u{:04x}", u32::from(control));
                    }
                    other => text.push(other),
                }
            }
        }
    }
    text
}

/// Appends a value that differs per request.
pub(crate) fn append_variable(name: Variable, encoding: Encoding, values: Values, out: &mut Vec<u8>) {
    match name {
        Variable::Uuid => out.extend_from_slice(&random::uuid4(values.seed, values.number)),
        Variable::RequestNumber => append_number(values.number, out),
        Variable::RandomInt => append_number(random::random_int(values.seed, values.number), out),
        Variable::TimestampUnix => append_number(values.wall_ns / 1_000_000_000, out),
        Variable::Timestamp => append_timestamp(values.wall_ns, encoding == Encoding::Percent, out),
    }
}

/// `2026-01-31T12:34:56.789012+00:00`.
pub(crate) fn timestamp(wall_ns: i128) -> String {
    // The calendar repeats after 400 years, so a time before 1970 is written as one after it, with another year.
    let early = wall_ns < 0;
    let shifted = if early { wall_ns + NS_OF_400_YEARS } else { wall_ns };
    let mut out = Vec::with_capacity(TIMESTAMP_LENGTH);
    append_timestamp(u64::try_from(shifted).unwrap_or(0), false, &mut out);
    if early {
        let year = out[..4].iter().fold(0, |year, digit| year * 10 + u64::from(digit - b'0'));
        let mut earlier = Vec::new();
        append_padded(year - 400, 4, &mut earlier);
        out[..4].copy_from_slice(&earlier);
    }
    out.into_iter().map(char::from).collect()
}

pub(super) fn digits(number: u64) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}

pub(super) fn append_number(mut number: u64, out: &mut Vec<u8>) {
    let mut text = [0_u8; 20];
    let mut begin = text.len();
    loop {
        begin -= 1;
        text[begin] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&text[begin..]);
}

/// Appends `2026-01-31T12:34:56.789012+00:00`, or the same percent-encoded.
pub(super) fn append_timestamp(wall_ns: u64, percent: bool, out: &mut Vec<u8>) {
    let (seconds, micros) = (wall_ns / 1_000_000_000, wall_ns % 1_000_000_000 / 1000);
    let (year, month, day) = civil(seconds / 86_400);
    let rest = seconds % 86_400;
    let (colon, plus): (&[u8], &[u8]) = if percent { (b"%3A", b"%2B") } else { (b":", b"+") };
    append_padded(year, 4, out);
    out.push(b'-');
    append_padded(month, 2, out);
    out.push(b'-');
    append_padded(day, 2, out);
    out.push(b'T');
    append_padded(rest / 3600, 2, out);
    out.extend_from_slice(colon);
    append_padded(rest / 60 % 60, 2, out);
    out.extend_from_slice(colon);
    append_padded(rest % 60, 2, out);
    out.push(b'.');
    append_padded(micros, 6, out);
    out.extend_from_slice(plus);
    out.extend_from_slice(b"00");
    out.extend_from_slice(colon);
    out.extend_from_slice(b"00");
}

fn append_padded(number: u64, width: usize, out: &mut Vec<u8>) {
    for _ in digits(number)..width {
        out.push(b'0');
    }
    append_number(number, out);
}

/// Converts days since 1970-01-01 to (year, month, day) of the Gregorian calendar, in eras of 400 years that start in
/// March.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_484), (2026, 1, 31));
    }
}
