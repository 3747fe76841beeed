//! The location of a redirect, and the request for it (RFC 9110, section 15.4; RFC 3986, section 5.2).

use crate::plan::{Origin, Scheme};

const CREDENTIALS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];
const OF_A_BODY: [&str; 5] =
    ["content-length", "content-type", "content-encoding", "content-language", "transfer-encoding"];

/// The destination of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Plain or TLS.
    pub scheme: Scheme,
    /// Lower case, IPv6 without brackets.
    pub host: String,
    /// The scheme's default if none was given.
    pub port: u16,
    /// Path and query.
    pub target: String,
}

/// True for statuses that redirect.
#[must_use]
pub fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// Resolves `location` for a request for `target` at `origin`; None if it cannot be requested.
#[must_use]
pub fn follow(origin: &Origin, target: &str, location: &str) -> Option<Place> {
    if location.is_empty() || location.chars().any(char::is_control) {
        return None;
    }
    let location = location.split('#').next().unwrap_or("").replace(' ', "%20");
    let here = |target: String| Place { scheme: origin.scheme, host: origin.host.clone(), port: origin.port, target };
    if let Some((scheme, rest)) = split_scheme(&location) {
        return absolute(scheme, rest.strip_prefix("//")?);
    }
    if let Some(rest) = location.strip_prefix("//") {
        return absolute(origin.scheme.name(), rest);
    }
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    if location.is_empty() {
        return Some(here(joined(path, query)));
    }
    let (reference, new_query) =
        location.split_once('?').map_or((location.as_str(), None), |(path, query)| (path, Some(query)));
    if reference.is_empty() {
        return Some(here(joined(path, new_query)));
    }
    let merged = if reference.starts_with('/') {
        reference.to_owned()
    } else {
        let directory = path.rfind('/').map_or("/", |end| &path[..=end]);
        format!("{directory}{reference}")
    };
    Some(here(joined(&without_dots(&merged), new_query)))
}

fn joined(path: &str, query: Option<&str>) -> String {
    query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
}

fn split_scheme(location: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = location.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then_some((scheme, rest))
}

fn absolute(scheme: &str, rest: &str) -> Option<Place> {
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return None,
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = if let Some(inside) = authority.strip_prefix('[') {
        let (host, after) = inside.split_once(']')?;
        (host, after.strip_prefix(':').or(after.is_empty().then_some(""))?)
    } else {
        authority.split_once(':').unwrap_or((authority, ""))
    };
    let port = if port.is_empty() { scheme.default_port() } else { port.parse().ok().filter(|port| *port > 0)? };
    if host.is_empty() || !host.is_ascii() {
        return None;
    }
    let (path, query) = tail.split_once('?').map_or((tail, None), |(path, query)| (path, Some(query)));
    let path = if path.is_empty() { "/".to_owned() } else { without_dots(path) };
    Some(Place { scheme, host: host.to_ascii_lowercase(), port, target: joined(&path, query) })
}

fn without_dots(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    parts.pop();
                }
                if is_last {
                    parts.push("");
                }
            }
            other => parts.push(other),
        }
    }
    format!("/{}", parts.join("/"))
}

/// True if the redirected request keeps its body, and has one.
#[must_use]
pub fn keeps_body(status: u16, request: &[u8]) -> bool {
    let method = request.split(|byte| *byte == b' ').next().unwrap_or(&[]);
    let has_body = memchr::memmem::find(request, b"\r\n\r\n").is_some_and(|end| request.len() > end + 4);
    has_body && !becomes_get(status, method)
}

fn becomes_get(status: u16, method: &[u8]) -> bool {
    (status == 303 && method != b"HEAD") || (matches!(status, 301 | 302) && method == b"POST")
}

/// How to rewrite a request.
#[derive(Debug, Clone, Copy)]
pub struct Rewrite<'a> {
    /// Status of the redirect.
    pub status: u16,
    /// The new request's target, in absolute form if a proxy requires it.
    pub target: &'a str,
    /// Host and, if needed, port.
    pub host: &'a str,
    /// The redirect changes scheme, host or port.
    pub crosses: bool,
    /// Names of headers that hold a secret, in lower case.
    pub secret_headers: &'a [String],
    /// Proxy-Authorization is kept, because the proxy remains in between.
    pub keeps_proxy_authorization: bool,
}

/// Rewrites `request` for the location of its response; the method is the request's first word.
#[must_use]
pub fn rewritten(request: &[u8], rewrite: Rewrite<'_>) -> Vec<u8> {
    let end = memchr::memmem::find(request, b"\r\n\r\n").unwrap_or(request.len());
    let head = String::from_utf8_lossy(&request[..end]).into_owned();
    let mut body = request.get(end + 4..).unwrap_or(&[]);
    let mut lines = head.split("\r\n");
    let mut method = lines.next().and_then(|line| line.split(' ').next()).unwrap_or("GET");
    let becomes_get = becomes_get(rewrite.status, method.as_bytes());
    if becomes_get {
        method = "GET";
        body = &[];
    }
    let mut text = format!("{method} {} HTTP/1.1\r\nHost: {}\r\n", rewrite.target, rewrite.host);
    for line in lines {
        let name = line.split(':').next().unwrap_or("").to_ascii_lowercase();
        let is_proxys = name == "proxy-authorization" && rewrite.keeps_proxy_authorization;
        let is_secret = CREDENTIALS.contains(&name.as_str()) || rewrite.secret_headers.contains(&name);
        let goes = name == "host"
            || (becomes_get && OF_A_BODY.contains(&name.as_str()))
            || (rewrite.crosses && is_secret && !is_proxys);
        if !goes {
            text.push_str(line);
            text.push_str("\r\n");
        }
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Adds a user's cookies to a request: to its Cookie header, or as a line before Content-Length.
#[must_use]
pub fn with_cookies(request: &[u8], cookies: &[u8]) -> Vec<u8> {
    if cookies.is_empty() {
        return request.to_vec();
    }
    let end = memchr::memmem::find(request, b"\r\n\r\n").unwrap_or(request.len());
    let begins = |line: &[u8], name: &[u8]| line.get(..name.len()).is_some_and(|it| it.eq_ignore_ascii_case(name));
    let lines = request[..end].split(|byte| *byte == b'\n');
    let mut lines: Vec<Vec<u8>> = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec()).collect();
    if let Some(own) = lines.iter_mut().find(|line| begins(line, b"cookie:")) {
        own.extend_from_slice(b"; ");
        own.extend_from_slice(cookies);
    } else {
        let length = lines.iter().position(|line| begins(line, b"content-length:"));
        lines.insert(length.unwrap_or(lines.len()), [b"Cookie: ", cookies].concat());
    }
    let mut whole = lines.join(&b"\r\n"[..]);
    whole.extend_from_slice(&request[end..]);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn origin() -> Origin {
        Origin {
            scheme: Scheme::Https,
            host: "a.test".to_owned(),
            port: 8443,
            connect_host: String::new(),
            connect_port: 0,
            addresses: vec![],
            resolve_error: String::new(),
        }
    }

    #[test]
    fn references_are_resolved_as_rfc_3986_says() {
        let at = |location: &str| {
            follow(&origin(), "/b/c/d?q", location)
                .map(|place| format!("{}://{}:{}{}", place.scheme.name(), place.host, place.port, place.target))
        };
        let here = "https://a.test:8443";
        for (location, expected) in [
            ("/x", format!("{here}/x")),
            ("x?y", format!("{here}/b/c/x?y")),
            ("../x", format!("{here}/b/x")),
            ("../../../x", format!("{here}/x")),
            ("./", format!("{here}/b/c/")),
            ("?y#f", format!("{here}/b/c/d?y")),
            ("#f", format!("{here}/b/c/d?q")),
            ("//B.test/x y", "https://b.test:443/x%20y".to_owned()),
            ("HTTP://u:p@b.test:81?z", "http://b.test:81/?z".to_owned()),
            ("http://[::1]:81/z/../y", "http://::1:81/y".to_owned()),
        ] {
            assert_eq!(at(location).as_deref(), Some(expected.as_str()), "{location}");
        }
        for nowhere in ["ftp://x/", "mailto:x@y", "http://", "http://b.test:0/", "http://b.test:99999/", "/a\r\nb", ""]
        {
            assert_eq!(at(nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn credentials_and_bodies_go_where_they_must() {
        let request =
            b"POST /a HTTP/1.1\r\nHost: a\r\nAuthorization: x\r\nX-Key: y\r\nA: b\r\nContent-Length: 2\r\n\r\nok";
        let secrets = ["x-key".to_owned()];
        let rewrite = |status, crosses| {
            let rewrite = Rewrite {
                status,
                target: "/n",
                host: "h:1",
                crosses,
                secret_headers: &secrets,
                keeps_proxy_authorization: false,
            };
            String::from_utf8(rewritten(request, rewrite)).unwrap()
        };
        assert_eq!(rewrite(303, true), "GET /n HTTP/1.1\r\nHost: h:1\r\nA: b\r\n\r\n");
        assert_eq!(
            rewrite(307, false),
            "POST /n HTTP/1.1\r\nHost: h:1\r\nAuthorization: x\r\nX-Key: y\r\nA: b\r\nContent-Length: 2\r\n\r\nok"
        );
    }

    #[test]
    fn cookies_join_the_header_of_a_request_or_are_a_line_before_its_length() {
        let with = |request: &str, cookies: &str| {
            String::from_utf8(with_cookies(request.as_bytes(), cookies.as_bytes())).unwrap()
        };
        let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
        assert_eq!(with(post, ""), post);
        assert_eq!(
            with(post, "a=1; b=2"),
            "POST / HTTP/1.1\r\nHost: a\r\nCookie: a=1; b=2\r\nContent-Length: 1\r\n\r\nx"
        );
        assert_eq!(
            with("GET / HTTP/1.1\r\ncookie: x=y\r\nA: b\r\n\r\n", "a=1"),
            "GET / HTTP/1.1\r\ncookie: x=y; a=1\r\nA: b\r\n\r\n"
        );
        // An empty value keeps the space before it, as in every other request.
        assert_eq!(with("GET / HTTP/1.1\r\nA: \r\n\r\n", "a=1"), "GET / HTTP/1.1\r\nA: \r\nCookie: a=1\r\n\r\n");
    }

    proptest! {
        #[test]
        fn any_location_is_followed_or_not(location in "\\PC{0,40}", target in "/[a-z/.?]{0,20}") {
            if let Some(place) = follow(&origin(), &target, &location) {
                prop_assert!(place.target.starts_with('/'));
                prop_assert!(!place.target.contains(' '));
            }
        }
    }
}
