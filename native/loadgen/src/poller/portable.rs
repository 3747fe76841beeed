//! The poller based on `mio`, for systems without epoll.

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use super::{Event, MOST_EVENTS, WAKE};
use crate::clock;

/// A poll instance of one thread.
#[derive(Debug)]
pub struct Poller {
    poll: Poll,
    events: Events,
    found: Vec<Event>,
}

/// Wakes a [`Poller`] from another thread.
#[derive(Debug, Clone)]
pub struct Waker(Arc<mio::Waker>);

impl Poller {
    /// Creates an instance.
    ///
    /// # Errors
    /// If the system has no file descriptor left.
    pub fn new() -> io::Result<Poller> {
        Ok(Poller { poll: Poll::new()?, events: Events::with_capacity(MOST_EVENTS), found: Vec::new() })
    }

    /// Registers `socket` for all events, until it is closed.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn add(&self, socket: RawFd, token: u64) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut SourceFd(&socket), token_of(token), interest)
    }

    /// Creates a waker for this instance.
    ///
    /// # Errors
    /// If the system has no file descriptor left.
    pub fn waker(&self) -> io::Result<Waker> {
        Ok(Waker(Arc::new(mio::Waker::new(self.poll.registry(), token_of(WAKE))?)))
    }

    /// Waits for at most `timeout_ns`; returns the number of events, see [`Poller::event`].
    ///
    /// # Errors
    /// Never in practice: an interrupted wait returns no event.
    pub fn wait(&mut self, timeout_ns: u64) -> io::Result<usize> {
        self.found.clear();
        match self.poll.poll(&mut self.events, Some(Duration::from_nanos(timeout_ns))) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(0),
            Err(error) => return Err(error),
        }
        self.found.extend(self.events.iter().map(|event| {
            let hangup = event.is_read_closed() || event.is_error();
            Event {
                token: event.token().0 as u64,
                readable: event.is_readable() || hangup,
                writable: event.is_writable() || event.is_error(),
                hangup,
            }
        }));
        Ok(self.found.len())
    }

    /// Waits until `at`, a future time of the monotonic clock less than 50 ms away.
    ///
    /// # Errors
    /// As [`Poller::wait`].
    pub fn wait_until(&mut self, at: u64) -> io::Result<usize> {
        self.wait(at.saturating_sub(clock::monotonic_ns()))
    }

    /// The event at `index`, which is less than the result of [`Poller::wait`].
    #[inline]
    #[must_use]
    pub fn event(&self, index: usize) -> Event {
        self.found[index]
    }
}

impl Waker {
    /// Wakes the poller; has no effect if it is awake.
    pub fn wake(&self) {
        // A waker that cannot be written to has already been written to.
        let _ = self.0.wake();
    }

    /// Resets the waker, which is not needed for `mio`.
    #[allow(clippy::unused_self)] // needed by the other poller
    pub fn drain(&self) {}
}

#[allow(clippy::cast_possible_truncation)] // all supported systems have 64-bit pointers
fn token_of(token: u64) -> Token {
    Token(token as usize)
}
