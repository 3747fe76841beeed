//! The crate from outside. One program for all files, as each program links every crate again.
#![allow(clippy::unwrap_used)] // a test that meets what it did not expect should say so by stopping

#[path = "../common/mod.rs"]
mod common;
mod connections;
mod evaluation;
mod hostile_answers;
mod http2;
mod lanes;
mod plans;
mod programs;
mod scenarios;
mod steps;
mod threads;
mod user;
