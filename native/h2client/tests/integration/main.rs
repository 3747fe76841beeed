//! The crate from outside. One program for all files, as each program links every crate again.

mod allocation;
mod conversation;
mod hostile;
mod properties;
mod real_peer;
mod wire;
