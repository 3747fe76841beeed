//! Sends the load of a compiled plan over HTTP and accounts for every request.
//!
//! Knows no Python: `cargo test`, benches and fuzzing need none. A plan comes in as bytes, intervals go out as bytes.
//!
//! # Layout
//!
//! What is decided before the first request, and what follows from it without a clock:
//!
//! - [`plan`]: the load plan, read and checked;
//! - [`random`], [`template`]: what a request looks like, bit for bit as every engine renders it;
//! - [`pacer`], [`schedule`]: when which request is due.
//!
//! What is done with bytes, without a socket:
//!
//! - [`response`]: reading an HTTP/1.1 response out of whatever pieces it comes in;
//! - [`decode`]: the text of a body, for checks and samples;
//! - [`redirect`]: where an answer points, and the request that follows it;
//! - [`tls`]: TLS sessions, records in and records out.
//!
//! What runs:
//!
//! - `poller`, `clock`, `deadlines`, `resolver`: waiting for sockets, time and names;
//! - [`worker`]: a load thread, one event loop; [`shared`]: what threads share;
//! - [`run`]: threads, the collector of their seconds, and the report: start reading here.
//!
//! What is told:
//!
//! - [`outcome`], [`histogram`], [`message`], [`record`]: what a thread notes in a second;
//! - `sample`, `interval`, `health`: a second as JSON.

mod clock;
mod deadlines;
pub mod decode;
mod health;
pub mod histogram;
mod interval;
pub mod message;
pub mod outcome;
pub mod pacer;
pub mod pattern;
pub mod plan;
mod poller;
pub mod random;
pub mod record;
pub mod redirect;
mod resolver;
pub mod response;
pub mod run;
mod sample;
pub mod schedule;
pub mod shared;
pub mod template;
pub mod tls;
pub mod worker;
