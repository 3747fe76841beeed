//! Sends the load of a compiled plan over HTTP and accounts for every request.
//!
//! Knows no Python: `cargo test`, benches and fuzzing need none. A plan comes in as bytes, intervals go out as bytes.
//!
//! # Layout
//!
//! What is decided before the first request:
//!
//! - [`plan`]: the load plan, read and checked;
//! - [`random`], [`template`]: what a request looks like, bit for bit as every engine renders it;
//! - [`outcome`], [`message`]: how a request ends, and why it failed.
//!
//! What is done with bytes, without a socket:
//!
//! - [`response`]: reading an HTTP/1.1 response out of whatever pieces it comes in;
//! - [`decode`]: the text of a body, for checks and samples;
//! - [`redirect`]: where an answer points, and the request that follows it.
//!
//! The four parts of a load thread, none of which knows another one or the loop:
//!
//! - [`schedule`]: when an iteration begins, and when sending ends;
//! - `users`: the iteration that a user is in, and its request in flight;
//! - [`transport`]: how requests get to their targets and answers back;
//! - [`ledger`]: what is counted in a second, and that as JSON.
//!
//! What runs:
//!
//! - [`worker`]: a load thread, one event loop that owns the four parts; [`shared`]: what threads share;
//! - `poller`, `clock`: waiting for sockets and for time; [`histogram`]: times, counted;
//! - [`run`]: threads, the collector of their seconds, and the report: start reading here.

mod clock;
mod counters;
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
pub mod schedule;
mod secrets;
pub mod shared;
pub mod template;
pub mod transport;
mod users;
pub mod worker;
