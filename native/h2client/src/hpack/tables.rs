//! The static table of RFC 7541, appendix A, and the meaning of its names for a client.

/// The meaning of a field's name, determined once when the name is first decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    /// `:status`.
    Status,
    /// `content-length`.
    ContentLength,
    /// `content-encoding`.
    ContentEncoding,
    /// `location`.
    Location,
    /// A pseudo-header that a response must not have.
    WrongPseudo,
    /// A field specific to HTTP/1 connections, which HTTP/2 forbids.
    ConnectionSpecific,
    /// Empty, or with an invalid byte: upper case, white space, controls.
    Malformed,
    /// Any other.
    Other,
}

impl Name {
    pub(crate) fn of(name: &[u8]) -> Name {
        match name {
            b":status" => Name::Status,
            b"content-length" => Name::ContentLength,
            b"content-encoding" => Name::ContentEncoding,
            b"location" => Name::Location,
            b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade" => {
                Name::ConnectionSpecific
            }
            [] => Name::Malformed,
            [b':', ..] => Name::WrongPseudo,
            _ if name.iter().any(|byte| matches!(byte, 0..=b' ' | b'A'..=b'Z' | b':' | 0x7f..)) => Name::Malformed,
            _ => Name::Other,
        }
    }
}

/// Number of fields in the static table; the dynamic table's indices follow.
pub(crate) const STATIC_LENGTH: usize = STATIC.len();

/// The first element has index 1.
pub(crate) const STATIC: [(&[u8], &[u8]); 61] = [
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
];

/// The meaning of each name in [`STATIC`].
pub(crate) const STATIC_NAMES: [Name; 61] = {
    let mut names = [Name::Other; 61];
    let mut index = 0;
    while index < 7 {
        names[index] = Name::WrongPseudo;
        index += 1;
    }
    while index < 14 {
        names[index] = Name::Status;
        index += 1;
    }
    names[25] = Name::ContentEncoding;
    names[27] = Name::ContentLength;
    names[45] = Name::Location;
    names[56] = Name::ConnectionSpecific;
    names
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_meaning_of_static_names_is_that_of_their_text() {
        for ((name, _), meaning) in STATIC.iter().zip(STATIC_NAMES) {
            assert_eq!(Name::of(name), meaning, "{}", String::from_utf8_lossy(name));
        }
    }

    #[test]
    fn names_with_forbidden_bytes_are_malformed() {
        for name in [&b""[..], b"Date", b"x y", b"a:b", b"x\n", b"x\x7f", "é".as_bytes()] {
            assert_eq!(Name::of(name), Name::Malformed);
        }
        assert_eq!(Name::of(b"x-request-id"), Name::Other);
        assert_eq!(Name::of(b":path"), Name::WrongPseudo);
    }
}
