//! Waits for sockets and time. Each socket is registered once, edge-triggered.
//!
//! Linux uses epoll directly, with the resolution of the kernel's timers; other systems use `mio`. Tests can run the
//! second on Linux too: `RUSTFLAGS="--cfg portable_poller" cargo test`.

#[cfg(all(target_os = "linux", not(portable_poller)))]
mod linux;
#[cfg(any(not(target_os = "linux"), portable_poller))]
mod portable;

#[cfg(all(target_os = "linux", not(portable_poller)))]
pub use linux::{Poller, Waker};
#[cfg(any(not(target_os = "linux"), portable_poller))]
pub use portable::{Poller, Waker};

/// The token of a [`Waker`].
pub const WAKE: u64 = u64::MAX;

/// The token of an alarm that has fired.
#[cfg(all(target_os = "linux", not(portable_poller)))]
const ALARM: u64 = u64::MAX - 1;

/// Most events per wait.
const MOST_EVENTS: usize = 256;

/// An event of a socket.
#[derive(Debug, Clone, Copy)]
pub struct Event {
    /// The token of its registration.
    pub token: u64,
    /// Data or the end of input can be read.
    pub readable: bool,
    /// Data can be written again, or the connection is established.
    pub writable: bool,
    /// The other side has closed, or there is an error: read to the end.
    pub hangup: bool,
}

/// Makes the kernel end this thread's waits exactly on time, instead of up to 50 µs late.
pub fn sharpen_timers() {
    #[cfg(target_os = "linux")]
    // SAFETY: a setting of the calling thread without pointers; unsupported systems ignore it.
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1, 0, 0, 0)
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    /// Waits until `at`; returns the tokens of the events, without the alarm's.
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
        // Only the last alarm fires.
        let at = clock::monotonic_ns() + 5_000_000;
        assert!(tokens(&mut poller, at).is_empty());
        assert!((at..at + 1_000_000_000).contains(&clock::monotonic_ns()));
    }
}
