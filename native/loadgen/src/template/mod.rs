//! Renders a step of the plan to the bytes of a request.
//!
//! A [`Program`] is a step compiled with its secrets: literal bytes and the values that differ per request. Without
//! such values it is constant and is sent directly from its bytes. Rendering is a function of (program, values, what the
//! user knows), so a sample can show the request that was sent, rendered again with the secrets masked.
//!
//! - `program.rs` renders, `writer.rs` compiles, `encodings.rs` writes values, `gzip.rs` compresses bodies.

mod encodings;
mod gzip;
mod program;
mod writer;

use std::collections::HashMap;

use crate::plan::Origin;

pub use encodings::encoded;
pub(crate) use encodings::{append_variable, timestamp};
pub(crate) use program::target_of;
pub use program::{Cookies, Program};

/// The values of all secret slots.
pub type Secrets = HashMap<String, String>;

const MASK: &str = "***";

/// An origin reached through a proxy in absolute form.
#[derive(Debug, Clone, Copy)]
pub struct AbsoluteForm<'a> {
    /// The origin of the request.
    pub origin: &'a Origin,
    /// The value of Proxy-Authorization; empty for none.
    pub authorization: &'a str,
}

/// How a request is written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Form<'a> {
    /// Every secret is written as `***`.
    pub masked: bool,
    /// The user's cookies are sent.
    pub uses_cookies: bool,
    /// The request goes through a proxy.
    pub proxy: Option<AbsoluteForm<'a>>,
}

/// The values that differ between requests of one program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Values {
    /// The plan's seed.
    pub seed: u64,
    /// The request's number, 1-based; in a scenario, the iteration's.
    pub number: u64,
    /// Wall time of the rendering, ns since 1970.
    pub wall_ns: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Encoding, Header, Origin, Part, Scheme, Step, Variable};
    use crate::random;

    fn literal(text: &str) -> Part {
        Part::Literal { text: text.to_owned() }
    }

    fn variable(name: Variable) -> Part {
        Part::Variable { name, encoding: Encoding::Raw }
    }

    fn step(method: &str, target: Vec<Part>, body: Option<Vec<Part>>) -> Step {
        Step {
            endpoint: 0,
            origin: 0,
            method: method.to_owned(),
            target,
            headers: vec![Header { name: "Host".to_owned(), value: vec![literal("h")] }],
            body,
            expected_statuses: vec![(200, 200)],
            checks: vec![],
            timeout_ns: 1,
            named_checks: Vec::new(),
            extracts: Vec::new(),
            compresses: false,
        }
    }

    fn rendered(program: &Program) -> String {
        let mut out = Vec::new();
        // 2026-01-31T12:34:56.789012Z
        program.render(Values { seed: 42, number: 7, wall_ns: 1_769_862_896_789_012_345 }, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_constant_request_is_rendered_once() {
        let program = Program::new(&step("GET", vec![literal("/a")], None), &Secrets::new(), Form::default());
        assert_eq!(program.constant().unwrap(), b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    }

    #[test]
    fn content_length_comes_last_and_counts_the_values() {
        let body = vec![
            literal("{"),
            variable(Variable::Uuid),
            variable(Variable::RequestNumber),
            variable(Variable::RandomInt),
            variable(Variable::Timestamp),
            variable(Variable::TimestampUnix),
            Part::Variable { name: Variable::Timestamp, encoding: Encoding::Percent },
        ];
        let program = Program::new(&step("POST", vec![literal("/é")], Some(body)), &Secrets::new(), Form::default());
        assert!(program.constant().is_none());
        let text = rendered(&program);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(head, format!("POST /é HTTP/1.1\r\nHost: h\r\nContent-Length: {}", body.len()));
        let uuid = String::from_utf8(random::uuid4(42, 7).to_vec()).unwrap();
        assert_eq!(
            body,
            format!(
                "{{{uuid}7{}2026-01-31T12:34:56.789012+00:0017698628962026-01-31T12%3A34%3A56.789012%2B00%3A00",
                random::random_int(42, 7)
            )
        );
    }

    #[test]
    fn a_post_without_a_body_says_so() {
        let program = Program::new(&step("POST", vec![literal("/")], None), &Secrets::new(), Form::default());
        assert_eq!(program.constant().unwrap(), b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    }

    /// The length that the head declares, and the body.
    fn taken_apart(request: &[u8]) -> (usize, &[u8]) {
        let end = memchr::memmem::find(request, b"\r\n\r\n").unwrap();
        let head = std::str::from_utf8(&request[..end]).unwrap();
        (head.rsplit_once("Content-Length: ").unwrap().1.parse().unwrap(), &request[end + 4..])
    }

    fn inflated(body: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(body), &mut plain).unwrap();
        plain
    }

    #[test]
    fn a_constant_body_is_compressed_once_and_shown_plain() {
        let body = vec![literal("a=1&"), Part::Bytes { bytes: vec![0xFF, 0xD8, b'%'] }];
        let step = Step { compresses: true, ..step("POST", vec![literal("/")], Some(body)) };
        let program = Program::new(&step, &Secrets::new(), Form::default());
        let (length, body) = taken_apart(program.constant().unwrap());
        assert_eq!((length, inflated(body)), (body.len(), b"a=1&\xFF\xD8%".to_vec()));
        let masked = Program::new(&step, &Secrets::new(), Form { masked: true, ..Form::default() });
        assert_eq!(taken_apart(masked.constant().unwrap()), (length, &b"a=1&\xFF\xD8%"[..]));
        let (mut alone, mut number) = (Vec::new(), Vec::new());
        let values = Values { seed: 42, number: 7, wall_ns: 0 };
        Program::of_body(&step, &Secrets::new()).unwrap().render(values, &mut alone);
        Program::of_length(&step, &Secrets::new()).render(values, &mut number);
        assert_eq!((alone.as_slice(), number), (body, length.to_string().into_bytes()));
    }

    #[test]
    fn a_body_with_values_is_compressed_per_request() {
        let body = vec![literal("n="), variable(Variable::RequestNumber)];
        let step = Step { compresses: true, ..step("POST", vec![literal("/")], Some(body)) };
        let program = Program::new(&step, &Secrets::new(), Form::default());
        assert!(program.needs_user && program.constant().is_none());
        let secrets = Secrets::new();
        let values = Values { seed: 42, number: 7, wall_ns: 0 };
        let scope = crate::scenario::Knowledge {
            slots: &[],
            user: 1,
            round: 0,
            values,
            data: &crate::data::Data::default(),
            secrets: &secrets,
        };
        for _ in 0..2 {
            let mut out = b"before".to_vec();
            program.render_for(values, &scope, None, None, &mut out);
            let (length, body) = taken_apart(&out);
            assert_eq!((length, inflated(body)), (body.len(), b"n=7".to_vec()));
        }
    }

    #[test]
    fn a_masked_program_shows_no_secret_and_the_real_length() {
        let secrets = Secrets::from([("token".to_owned(), "s3\"cret".to_owned())]);
        let slot = |encoding| Part::Secret { slot: "token".to_owned(), encoding };
        let step = step("PUT", vec![literal("/"), slot(Encoding::Percent)], Some(vec![slot(Encoding::Json)]));
        let real = Program::new(&step, &secrets, Form::default());
        assert_eq!(
            real.constant().unwrap(),
            b"PUT /s3%22cret HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\ns3\\\"cret"
        );
        let masked = Program::new(&step, &secrets, Form { masked: true, ..Form::default() });
        assert_eq!(masked.constant().unwrap(), b"PUT /*** HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\n***");
    }

    #[test]
    fn a_proxy_gets_the_absolute_form_and_its_own_credentials() {
        let origin = Origin {
            scheme: Scheme::Http,
            host: "::1".to_owned(),
            port: 81,
            connect_host: String::new(),
            connect_port: 0,
            addresses: vec![],
            resolve_error: String::new(),
        };
        let proxy = AbsoluteForm { origin: &origin, authorization: "Basic eA==" };
        let program = Program::new(
            &step("GET", vec![literal("/a")], None),
            &Secrets::new(),
            Form { proxy: Some(proxy), ..Form::default() },
        );
        assert_eq!(
            program.constant().unwrap(),
            b"GET http://[::1]:81/a HTTP/1.1\r\nHost: h\r\nProxy-Authorization: Basic eA==\r\n\r\n"
        );
    }

    #[derive(serde::Deserialize)]
    struct Cases {
        wall_ns: u64,
        requests: Vec<Case>,
        encodings: Vec<Encodings>,
    }

    #[derive(serde::Deserialize)]
    struct Case {
        name: String,
        method: String,
        target: Vec<Part>,
        headers: Vec<Header>,
        body: Option<Vec<Part>>,
        secrets: Secrets,
        seed: u64,
        number: u64,
        sent: String,
    }

    #[derive(serde::Deserialize)]
    struct Encodings {
        value: String,
        percent: String,
        json: String,
    }

    /// The same file is read by the tests of the asyncio engine.
    #[test]
    fn requests_are_rendered_as_the_other_engine_renders_them() {
        let cases: Cases = serde_json::from_str(include_str!("../../../../tests/vectors/templates.json")).unwrap();
        assert!(cases.requests.len() > 15 && cases.encodings.len() > 5);
        for case in cases.requests {
            let step = Step { headers: case.headers, ..step(&case.method, case.target, case.body) };
            let program = Program::new(&step, &case.secrets, Form::default());
            let mut sent = Vec::new();
            program.render(Values { seed: case.seed, number: case.number, wall_ns: cases.wall_ns }, &mut sent);
            assert_eq!(String::from_utf8(sent).unwrap(), case.sent, "{}", case.name);
        }
        for case in cases.encodings {
            assert_eq!(encoded(&case.value, Encoding::Percent), case.percent, "{:?}", case.value);
            assert_eq!(encoded(&case.value, Encoding::Json), case.json, "{:?}", case.value);
        }
    }
}
