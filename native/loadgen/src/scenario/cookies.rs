//! The cookies of a user (RFC 6265, sections 5.3 and 5.4).

use super::set_cookie::{self, SetCookie};

/// The oldest cookie gives way to one more.
const MOST_COOKIES: usize = 50;

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// In lower case, IPv6 without brackets.
    pub host: &'a str,
    /// The target of the request; a query is ignored.
    pub target: &'a str,
    /// Over TLS.
    pub is_https: bool,
}

/// A user's cookies. Empty, it takes no memory beyond itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Jar {
    /// In order of creation.
    cookies: Vec<Cookie>,
}

/// A cookie. One allocation holds its texts, as there are many users.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cookie {
    /// Name, value, domain and path.
    texts: Box<[u8]>,
    /// Where value, domain and path begin.
    ends: [u32; 3],
    is_host_only: bool,
    is_secure: bool,
    expires: Option<i64>,
}

impl Jar {
    /// Stores the cookie of a Set-Cookie line from a response of `place`. `now` is in seconds since 1970.
    pub fn store(&mut self, line: &[u8], place: &Place<'_>, now: i64) {
        let Some(set) = set_cookie::parse(line, now) else { return };
        let Some(cookie) = Cookie::new(&set, place) else { return };
        self.cookies.retain(|cookie| !cookie.is_expired(now));
        let before = self.cookies.iter().position(|known| known.key() == cookie.key());
        if cookie.is_expired(now) {
            if let Some(index) = before {
                self.cookies.remove(index);
            }
        } else if let Some(index) = before {
            self.cookies[index] = cookie;
        } else {
            if self.cookies.len() == MOST_COOKIES {
                self.cookies.remove(0);
            }
            self.cookies.push(cookie);
        }
    }

    /// Appends the value of the Cookie header for a request to `place`: `a=1; b=2`. Nothing if no cookie belongs there.
    pub fn append(&self, place: &Place<'_>, now: i64, out: &mut Vec<u8>) {
        if self.cookies.is_empty() {
            return;
        }
        let mut cookies: Vec<&Cookie> = self.cookies.iter().filter(|cookie| cookie.belongs(place, now)).collect();
        // Stable: of equal paths, the older cookie comes first.
        cookies.sort_by_key(|cookie| std::cmp::Reverse(cookie.path().len()));
        for (index, cookie) in cookies.into_iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b"; ");
            }
            out.extend_from_slice(cookie.name());
            out.push(b'=');
            out.extend_from_slice(cookie.value());
        }
    }

    /// Removes all cookies.
    pub fn clear(&mut self) {
        self.cookies.clear();
    }

    /// Bytes of memory that it takes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let texts = self.cookies.iter().map(|cookie| cookie.texts.len()).sum::<usize>();
        size_of::<Jar>() + self.cookies.capacity() * size_of::<Cookie>() + texts
    }

    /// True without cookies.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cookies.is_empty()
    }
}

impl Cookie {
    /// None if the host may not set it.
    fn new(set: &SetCookie<'_>, place: &Place<'_>) -> Option<Cookie> {
        let host = place.host.as_bytes();
        let is_own = set.domain == host;
        let has_dot = set.domain.contains(&b'.');
        // A domain without a dot is a host's own, or one under which anyone may register names.
        let is_host_only = set.domain.is_empty() || is_own && (!has_dot || is_address(place.host));
        if !(set.domain.is_empty() || is_own || has_dot && matches(place.host, &set.domain)) {
            return None;
        }
        let domain = if set.domain.is_empty() { host } else { &set.domain };
        let path = if set.path.is_empty() { default_path(place.target).as_bytes() } else { set.path };
        let texts = [set.name, set.value, domain, path];
        let mut ends = [0; 3];
        let mut length = 0;
        for (end, text) in ends.iter_mut().zip(texts) {
            length += text.len();
            *end = u32::try_from(length).ok()?;
        }
        Some(Cookie {
            texts: texts.concat().into_boxed_slice(),
            ends,
            is_host_only,
            is_secure: set.is_secure,
            expires: set.expires,
        })
    }

    fn name(&self) -> &[u8] {
        &self.texts[..self.ends[0] as usize]
    }

    fn value(&self) -> &[u8] {
        &self.texts[self.ends[0] as usize..self.ends[1] as usize]
    }

    fn domain(&self) -> &[u8] {
        &self.texts[self.ends[1] as usize..self.ends[2] as usize]
    }

    fn path(&self) -> &[u8] {
        &self.texts[self.ends[2] as usize..]
    }

    fn key(&self) -> (&[u8], &[u8], &[u8]) {
        (self.name(), self.domain(), self.path())
    }

    fn is_expired(&self, now: i64) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    fn belongs(&self, place: &Place<'_>, now: i64) -> bool {
        let is_here =
            if self.is_host_only { place.host.as_bytes() == self.domain() } else { matches(place.host, self.domain()) };
        is_here
            && (!self.is_secure || place.is_https)
            && !self.is_expired(now)
            && path_matches(path_of(place.target), self.path())
    }
}

/// Section 5.1.3.
fn matches(host: &str, domain: &[u8]) -> bool {
    match host.as_bytes().strip_suffix(domain) {
        Some([]) => true,
        Some(subdomain) => subdomain.ends_with(b".") && !is_address(host),
        None => false,
    }
}

fn is_address(host: &str) -> bool {
    host.contains(':') || host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

fn path_of(target: &str) -> &str {
    target.split(['?', '#']).next().unwrap_or(target)
}

/// Section 5.1.4: the directory of the target.
fn default_path(target: &str) -> &str {
    let path = path_of(target);
    match path.rfind('/') {
        Some(end) if end > 0 && path.starts_with('/') => &path[..end],
        _ => "/",
    }
}

/// Section 5.1.4.
fn path_matches(path: &str, cookie_path: &[u8]) -> bool {
    let path = if path.starts_with('/') { path } else { "/" };
    path.as_bytes()
        .strip_prefix(cookie_path)
        .is_some_and(|rest| rest.is_empty() || cookie_path.ends_with(b"/") || rest.starts_with(b"/"))
}
