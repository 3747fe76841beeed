//! Tests that look at their whole process, so only one of them runs at a time and no others do.
#![allow(clippy::unwrap_used)] // a test that meets what it did not expect should say so by stopping

use std::sync::{Mutex, MutexGuard, PoisonError};

mod allocation;
#[path = "../common/mod.rs"]
mod common;
mod lost_thread;

static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
