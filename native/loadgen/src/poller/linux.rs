//! Waits for sockets and time with epoll, edge-triggered; each socket is registered once.
//!
//! One registration for reading and writing costs nothing per request: a socket that was never full reports no
//! writability. Waits have the resolution of the kernel's timers (`epoll_pwait2`, Linux 5.11; `ppoll` before).

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use super::{ALARM, Event, MOST_EVENTS, WAKE};

/// An epoll instance of one thread.
#[derive(Debug)]
pub struct Poller {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
    has_pwait2: bool,
    /// A timer, registered like a socket.
    alarm: OwnedFd,
    /// When it fires, or has fired.
    rings_at: u64,
}

/// Longest wait with an alarm; a longer one means that a clock is wrong.
const LONGEST_NS: u64 = 50_000_000;

/// Wakes a [`Poller`] from another thread.
#[derive(Debug, Clone)]
pub struct Waker(Arc<OwnedFd>);

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // a time of this clock, or a short one
fn timespec(ns: u64) -> libc::timespec {
    libc::timespec { tv_sec: (ns / 1_000_000_000) as libc::time_t, tv_nsec: (ns % 1_000_000_000) as _ }
}

impl Poller {
    /// Creates an instance.
    ///
    /// # Errors
    /// If the system has no file descriptor left.
    pub fn new() -> io::Result<Poller> {
        // SAFETY: no pointers; the returned descriptor is owned here alone.
        let epoll = unsafe { OwnedFd::from_raw_fd(checked(libc::epoll_create1(libc::EPOLL_CLOEXEC))?) };
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: as above.
        let alarm = unsafe { OwnedFd::from_raw_fd(checked(libc::timerfd_create(libc::CLOCK_MONOTONIC, flags))?) };
        let poller = Poller { epoll, events: Vec::with_capacity(MOST_EVENTS), has_pwait2: true, alarm, rings_at: 0 };
        poller.register(poller.alarm.as_raw_fd(), ALARM, libc::EPOLLIN | libc::EPOLLET)?;
        Ok(poller)
    }

    /// Registers `socket` for all events, until it is closed.
    ///
    /// # Errors
    /// If the system refuses (no memory, too many watches).
    pub fn add(&self, socket: RawFd, token: u64) -> io::Result<()> {
        let flags = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
        self.register(socket, token, flags)
    }

    /// Creates a waker for this instance.
    ///
    /// # Errors
    /// If the system has no file descriptor left.
    pub fn waker(&self) -> io::Result<Waker> {
        // SAFETY: no pointers; the returned descriptor is owned here alone.
        let event = unsafe { OwnedFd::from_raw_fd(checked(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?) };
        self.register(event.as_raw_fd(), WAKE, libc::EPOLLIN | libc::EPOLLET)?;
        Ok(Waker(Arc::new(event)))
    }

    #[allow(clippy::cast_sign_loss)] // the flags are bits; EPOLLET is the highest of them
    fn register(&self, socket: RawFd, token: u64, flags: libc::c_int) -> io::Result<()> {
        let mut event = libc::epoll_event { events: flags as u32, u64: token };
        // SAFETY: `event` outlives the call; the kernel copies it.
        checked(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, socket, &raw mut event) })
            .map(drop)
    }

    /// Waits for at most `timeout_ns`; returns the number of events, see [`Poller::event`].
    ///
    /// # Errors
    /// Never in practice: an interrupted wait returns no event.
    pub fn wait(&mut self, timeout_ns: u64) -> io::Result<usize> {
        self.events.clear();
        let count = match self.wait_raw(timeout_ns) {
            Err(error) if error.raw_os_error() == Some(libc::ENOSYS) && self.has_pwait2 => {
                self.has_pwait2 = false;
                self.wait_raw(timeout_ns)
            }
            other => other,
        };
        match count {
            Ok(count) => {
                // SAFETY: the kernel has written `count` events, at most the given capacity.
                unsafe { self.events.set_len(count) };
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Waits until `at`, a future time of the monotonic clock less than 50 ms away. It is set as an alarm, which
    /// earlier events leave unchanged, while the timeout of a wait would be set and cancelled each time.
    ///
    /// # Errors
    /// As [`Poller::wait`].
    pub fn wait_until(&mut self, at: u64) -> io::Result<usize> {
        if self.rings_at != at {
            let rings = libc::itimerspec { it_interval: timespec(0), it_value: timespec(at) };
            let (alarm, absolute) = (self.alarm.as_raw_fd(), libc::TFD_TIMER_ABSTIME);
            // SAFETY: `rings` outlives the call, and the previous setting is not requested.
            checked(unsafe { libc::timerfd_settime(alarm, absolute, &raw const rings, std::ptr::null_mut()) })?;
            self.rings_at = at;
        }
        self.wait(LONGEST_NS)
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss)]
    fn wait_raw(&mut self, timeout_ns: u64) -> io::Result<usize> {
        let epoll = self.epoll.as_raw_fd();
        let time = timespec(timeout_ns);
        let events = self.events.as_mut_ptr();
        let most = MOST_EVENTS as libc::c_int;
        if timeout_ns == 0 {
            // SAFETY: `events` has room for `most` events.
            return checked(unsafe { libc::epoll_wait(epoll, events, most, 0) }).map(|count| count as usize);
        }
        if self.has_pwait2 {
            // SAFETY: `events` has room for `most` events, `time` outlives the call, no signal mask is given.
            let count = unsafe {
                libc::syscall(
                    libc::SYS_epoll_pwait2,
                    epoll,
                    events,
                    most,
                    &raw const time,
                    std::ptr::null::<libc::sigset_t>(),
                    0,
                )
            };
            return checked(count as libc::c_int).map(|count| count as usize);
        }
        let mut poll = libc::pollfd { fd: epoll, events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd and a time that outlive the call, no signal mask is given.
        checked(unsafe { libc::ppoll(&raw mut poll, 1, &raw const time, std::ptr::null()) })?;
        // SAFETY: `events` has room for `most` events.
        checked(unsafe { libc::epoll_wait(epoll, events, most, 0) }).map(|count| count as usize)
    }

    /// The event at `index`, which is less than the result of [`Poller::wait`].
    #[inline]
    #[must_use]
    pub fn event(&self, index: usize) -> Event {
        const READABLE: u32 = (libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) as u32;
        const HANGUP: u32 = (libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) as u32;
        const WRITABLE: u32 = (libc::EPOLLOUT | libc::EPOLLHUP | libc::EPOLLERR) as u32;
        let libc::epoll_event { events, u64: token } = self.events[index];
        Event {
            token,
            readable: events & READABLE != 0,
            writable: events & WRITABLE != 0,
            hangup: events & HANGUP != 0,
        }
    }
}

impl Waker {
    /// Wakes the poller; has no effect if it is awake.
    pub fn wake(&self) {
        let one = 1_u64;
        // SAFETY: eight bytes from a live value. A full counter means that it was already woken.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    /// Resets the waker, so that it can wake again.
    pub fn drain(&self) {
        let mut count = 0_u64;
        // SAFETY: eight bytes into a live value; an empty counter only returns an error.
        unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), 8) };
    }
}
