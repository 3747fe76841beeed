//! Parses Set-Cookie lines (RFC 6265, sections 5.1.1 and 5.2).

/// Of an attribute; longer ones are ignored.
const MOST_ATTRIBUTE_BYTES: usize = 1024;
/// Of name and value together; cookies with more are ignored.
const MOST_PAIR_BYTES: usize = 4096;

/// A line, parsed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SetCookie<'a> {
    /// Not empty.
    pub name: &'a [u8],
    /// As written, with its quotes.
    pub value: &'a [u8],
    /// Seconds since 1970 from which on it is expired; None for a cookie of the session.
    pub expires: Option<i64>,
    /// In lower case, without a leading dot; empty for none.
    pub domain: Vec<u8>,
    /// Begins with `/`; empty for none.
    pub path: &'a [u8],
    /// Sent over https only.
    pub is_secure: bool,
}

/// Name and value of a line; None without a name.
#[must_use]
pub fn name_and_value(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let pair = line.split(|byte| *byte == b';').next()?;
    let at = memchr::memchr(b'=', pair)?;
    let (name, value) = (trimmed(&pair[..at]), trimmed(&pair[at + 1..]));
    (!name.is_empty()).then_some((name, value))
}

/// Parses a line; None if it must be ignored. `now` is in seconds since 1970.
#[must_use]
pub fn parse(line: &[u8], now: i64) -> Option<SetCookie<'_>> {
    let (name, value) = name_and_value(line)?;
    let is_control = |byte: &u8| *byte < 0x20 && *byte != b'\t' || *byte == 0x7F;
    if name.len() + value.len() > MOST_PAIR_BYTES || line.iter().any(is_control) {
        return None;
    }
    let mut cookie = SetCookie { name, value, ..SetCookie::default() };
    let mut expires = None;
    let mut max_age = None;
    for attribute in line.split(|byte| *byte == b';').skip(1) {
        let (name, value) = match memchr::memchr(b'=', attribute) {
            Some(at) => (trimmed(&attribute[..at]), trimmed(&attribute[at + 1..])),
            None => (trimmed(attribute), &[][..]),
        };
        if value.len() > MOST_ATTRIBUTE_BYTES {
            continue;
        }
        if name.eq_ignore_ascii_case(b"expires") {
            expires = date(value).or(expires);
        } else if name.eq_ignore_ascii_case(b"max-age") {
            max_age = seconds(value).or(max_age);
        } else if name.eq_ignore_ascii_case(b"domain") && !value.is_empty() {
            cookie.domain = value.strip_prefix(b".").unwrap_or(value).to_ascii_lowercase();
        } else if name.eq_ignore_ascii_case(b"path") {
            cookie.path = if value.starts_with(b"/") { value } else { &[] };
        } else if name.eq_ignore_ascii_case(b"secure") {
            cookie.is_secure = true;
        }
    }
    cookie.expires = match max_age {
        Some(age) if age <= 0 => Some(i64::MIN),
        Some(age) => Some(now.saturating_add(age)),
        None => expires,
    };
    Some(cookie)
}

/// Without white space around it.
fn trimmed(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The value of Max-Age.
fn seconds(value: &[u8]) -> Option<i64> {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let far = if value.starts_with(b"-") { i64::MIN } else { i64::MAX };
    Some(std::str::from_utf8(value).ok()?.parse().unwrap_or(far))
}

/// A date in seconds since 1970, by the rules of section 5.1.1, which accept every format in use.
fn date(text: &[u8]) -> Option<i64> {
    let is_delimiter = |byte: &u8| matches!(byte, 0x09 | 0x20..=0x2F | 0x3B..=0x40 | 0x5B..=0x60 | 0x7B..=0x7E);
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.split(is_delimiter).filter(|token| !token.is_empty()) {
        if time.is_none()
            && let Some(found) = time_of(token)
        {
            time = Some(found);
        } else if day.is_none()
            && let Some(found) = leading_number(token, 1, 2)
        {
            day = Some(found);
        } else if month.is_none()
            && let Some(found) = month_of(token)
        {
            month = Some(found);
        } else if year.is_none()
            && let Some(found) = leading_number(token, 2, 4)
        {
            year = Some(found);
        }
    }
    let ((hour, minute, second), day, month) = (time?, day?, month?);
    let year = match year? {
        short @ 70..=99 => short + 1900,
        short @ 0..=69 => short + 2000,
        long => long,
    };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_of_month = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if year < 1601 || !(1..=days_of_month).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
}

/// A number of `least` to `most` digits, followed by anything but a digit.
fn leading_number(token: &[u8], least: usize, most: usize) -> Option<i64> {
    let length = token.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (least..=most).contains(&length).then(|| number(&token[..length]))
}

fn number(digits: &[u8]) -> i64 {
    digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))
}

/// `h:m:s`, each of one or two digits, followed by anything but a digit.
fn time_of(token: &[u8]) -> Option<(i64, i64, i64)> {
    let mut parts = token.splitn(3, |byte| *byte == b':');
    let mut whole = || {
        let part = parts.next()?;
        (part.iter().all(u8::is_ascii_digit)).then(|| leading_number(part, 1, 2))?
    };
    let (hour, minute) = (whole()?, whole()?);
    Some((hour, minute, leading_number(parts.next()?, 1, 2)?))
}

fn month_of(token: &[u8]) -> Option<i64> {
    const MONTHS: &[u8; 36] = b"janfebmaraprmayjunjulaugsepoctnovdec";
    let name = token.get(..3)?.to_ascii_lowercase();
    let index = MONTHS.chunks(3).position(|month| month == name)?;
    i64::try_from(index + 1).ok()
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, in eras of 400 years that start in March.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}
