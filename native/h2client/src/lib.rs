//! The client side of an HTTP/2 connection (RFC 9113, RFC 7541) as a state machine: bytes in, bytes out, no socket, no clock.
//!
//! It is made for a load engine. In the steady state, a request is a copy of some fourteen bytes into the outgoing
//! buffer, a response is read in place, and neither allocates. It depends only on the standard library.
//!
//! # Layout
//! `connection` is the interface for the caller: start there. `send` renders requests, `receive` parses frames,
//! `answer` reports responses, `streams` holds the requests in flight, `template` is the head of a request, `frame` is
//! the wire format, `hpack` the header compression, `error` the errors.
//!
//! # Example
//! ```
//! use h2client::{Connection, Events, Failure, Head, Request, Settings, Stream, Template, Value};
//!
//! #[derive(Default)]
//! struct Log(Vec<String>);
//!
//! impl Events for Log {
//!     fn head(&mut self, stream: Stream, head: &Head<'_>) {
//!         self.0.push(format!("request {}: {}", stream.token, head.status));
//!     }
//!     fn data(&mut self, stream: Stream, piece: &[u8]) {
//!         self.0.push(format!("request {}: {} bytes", stream.token, piece.len()));
//!     }
//!     fn end(&mut self, stream: Stream) {
//!         self.0.push(format!("request {}: whole", stream.token));
//!     }
//!     fn failed(&mut self, stream: Stream, failure: Failure) {
//!         self.0.push(format!("request {}: {failure}", stream.token));
//!     }
//! }
//!
//! // Created once per plan, and shared by its connections. The id is given with each request.
//! let mut item = Template::new("GET", "https", "shop.test", "/items");
//! item.header(b"X-Request-Id", Value::Variable);
//!
//! let mut connection = Connection::new(Settings::default(), [item].into());
//! connection.send_request(0, Request::new(7), |_, buffer| buffer.extend_from_slice(b"a1"))?;
//!
//! // Write `outgoing` to the socket, and report how much was written.
//! assert!(connection.outgoing().starts_with(b"PRI * HTTP/2.0"));
//! let count = connection.outgoing().len();
//! connection.consume(count);
//!
//! // Data read from the socket: SETTINGS, then HEADERS with the status 200 and END_STREAM.
//! let mut log = Log::default();
//! connection.receive(b"\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x05\0\0\0\x01\x88", &mut log)?;
//! assert_eq!(log.0, ["request 7: 200", "request 7: whole"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod answer;
mod connection;
mod error;
mod frame;
mod hpack;
mod receive;
mod send;
mod streams;
mod template;

pub use answer::{Events, Fields, Head};
pub use connection::{Body, Connection, Request, Settings};
pub use error::{ConnectionError, ErrorCode, ErrorKind, Failure, Refusal};
pub use streams::Stream;
pub use template::{Template, Value, is_allowed};
