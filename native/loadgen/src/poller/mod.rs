//! Waiting for sockets and for time. Each socket is registered once, edge-triggered, for its whole life.
//!
//! Linux has epoll straight, with waits as fine as the kernel's timers; other systems go through `mio`. Tests run the second
//! one on Linux too: `RUSTFLAGS="--cfg portable_poller" cargo test`.

#[cfg(all(target_os = "linux", not(portable_poller)))]
mod linux;
#[cfg(any(not(target_os = "linux"), portable_poller))]
mod portable;

#[cfg(all(target_os = "linux", not(portable_poller)))]
pub use linux::{Poller, Waker};
#[cfg(any(not(target_os = "linux"), portable_poller))]
pub use portable::{Poller, Waker};

/// The token that a [`Waker`] reports with.
pub const WAKE: u64 = u64::MAX;

/// The token of an alarm that has rung: an event that says nothing but that it is time.
#[cfg(all(target_os = "linux", not(portable_poller)))]
const ALARM: u64 = u64::MAX - 1;

/// How many events one wait gives at most.
const MOST_EVENTS: usize = 256;

/// Something that happened on a socket.
#[derive(Debug, Clone, Copy)]
pub struct Event {
    /// What it was registered with.
    pub token: u64,
    /// There is something to read, the end included.
    pub readable: bool,
    /// There is room to write again, or a connection is there.
    pub writable: bool,
    /// The other side has closed, or there is an error: read until the end shows.
    pub hangup: bool,
}

/// Lets the kernel end this thread's waits at the nanosecond that was asked for, not up to 50 µs later.
pub fn sharpen_timers() {
    #[cfg(target_os = "linux")]
    // SAFETY: a plain setting of the calling thread; where it is not known, nothing happens.
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1, 0, 0, 0)
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    /// Waits until `at`; the tokens of what happened, without the alarm's.
    fn tokens(poller: &mut Poller, at: u64) -> Vec<u64> {
        let count = poller.wait_until(at).unwrap();
        (0..count).map(|index| poller.event(index).token).filter(|token| *token == WAKE).collect()
    }

    #[test]
    fn a_wait_ends_at_its_time_and_never_before() {
        let mut poller = Poller::new().unwrap();
        for _ in 0..5 {
            let at = clock::monotonic_ns() + 3_000_000;
            assert!(tokens(&mut poller, at).is_empty());
            assert!(clock::monotonic_ns() >= at);
        }
    }

    #[test]
    fn what_happens_before_its_time_ends_a_wait_and_leaves_the_next_one_whole() {
        let mut poller = Poller::new().unwrap();
        let waker = poller.waker().unwrap();
        for _ in 0..5 {
            let at = clock::monotonic_ns() + 30_000_000;
            waker.wake();
            assert_eq!(tokens(&mut poller, at), [WAKE]);
            waker.drain();
            while clock::monotonic_ns() < at {
                assert!(tokens(&mut poller, at).is_empty());
            }
            assert!(clock::monotonic_ns() >= at);
        }
    }

    #[test]
    fn a_time_may_be_put_off_and_put_forward() {
        let mut poller = Poller::new().unwrap();
        let waker = poller.waker().unwrap();
        let now = clock::monotonic_ns();
        for wait in [40_000_000, 10_000_000, 45_000_000] {
            waker.wake();
            assert_eq!(tokens(&mut poller, now + wait), [WAKE]);
            waker.drain();
        }
        // The one that was asked for last is the one that rings.
        let at = clock::monotonic_ns() + 5_000_000;
        assert!(tokens(&mut poller, at).is_empty());
        assert!((at..at + 1_000_000_000).contains(&clock::monotonic_ns()));
    }
}
