//! Sends the load of a compiled plan over HTTP and accounts for every request.
//!
//! Knows no Python: `cargo test`, benches and fuzzing need none. A plan comes in as bytes, intervals go out as bytes.
//!
//! # Layout
//!
//! Decided before the first request:
//!
//! - [`plan`]: the load plan, read and checked;
//! - [`data`], [`table`]: test data, from tables mapped into memory;
//! - [`random`], [`template`]: rendering of requests, with the same bytes in every engine;
//! - [`outcome`], [`message`]: how a request ends, and why it failed.
//!
//! Processing of bytes, without a socket:
//!
//! - [`response`]: parses an HTTP/1.1 response that arrives in pieces;
//! - [`decode`]: decodes a body to text, for checks and samples;
//! - [`redirect`]: the location of a redirect, and the request for it;
//! - [`scenario`]: conditions, extracts, cookies and values of scenarios.
//!
//! The four parts of a load thread, which know neither each other nor the loop:
//!
//! - [`schedule`]: when iterations start, and when sending ends;
//! - `users`: the current iteration of each user, and its request in flight;
//! - [`transport`]: connections, requests and responses;
//! - [`ledger`]: the figures of each second, and their JSON.
//!
//! Running:
//!
//! - [`worker`]: a load thread, i.e. the event loop that owns the four parts; [`shared`]: state that threads share;
//! - `poller`, `clock`: waiting for sockets and time; [`histogram`]: distributions of times;
//! - [`run`]: the threads, the collector of their seconds, and the report. Start reading here.

mod clock;
mod counters;
pub mod data;
pub mod decode;
#[cfg(test)]
mod fixtures;
pub mod histogram;
pub mod ledger;
pub mod message;
pub mod outcome;
pub mod pattern;
pub mod plan;
mod poller;
pub mod random;
pub mod redirect;
pub mod response;
pub mod run;
pub mod scenario;
pub mod schedule;
mod secrets;
pub mod shared;
pub mod table;
pub mod template;
pub mod transport;
mod users;
pub mod worker;
