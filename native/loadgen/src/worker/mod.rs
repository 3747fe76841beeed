//! A load thread: the event loop that owns the four parts and connects them. It shares nothing with other threads but
//! [`Shared`].
//!
//! - [`Schedule`] decides when an iteration starts, [`Users`] hold it and its requests, [`Transport`] carries them, and
//!   [`Ledger`] counts the results. None of the four knows the loop or another part.
//! - `mod.rs` is the loop and its timing, `starts.rs` starts iterations, `parts.rs` passes the transport's reports
//!   to users and ledger, `journeys.rs` continues iterations of several operations, `iterations.rs` samples them,
//!   `commands.rs` handles stop, cancel, secrets and the end.

mod commands;
mod iterations;
mod journeys;
mod parts;
mod starts;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender};

use crate::clock;
use crate::ledger::{Ledger, Note, Second};
use crate::message::Message;
use crate::outcome::Outcome;
use crate::plan::Model;
use crate::poller::{self, Poller, WAKE};
use crate::schedule::{Schedule, Shard};
use crate::shared::Shared;
use crate::transport::{Events, Transport};
use crate::users::Users;

use parts::Parts;

/// A wake-up this late is a stall.
const STALL: u64 = 10_000_000;
/// Longest wait of the loop, so that a paused machine shows as a wait that took longer.
const HEARTBEAT: u64 = 25_000_000;
/// Handling one event takes far less than this, so a turn that took longer was interrupted.
const PER_EVENT: u64 = 100_000;
/// How long before the start of the run a load thread stops sleeping.
const AWAKE_BEFORE_START: u64 = 1_000_000;

/// One load thread.
pub struct Worker {
    transport: Transport,
    /// Schedule, users and ledger, and the other data for the transport's reports.
    parts: Parts,
    waker: poller::Waker,
    /// (time, user): tokens, pauses, think times, and iterations of paced users.
    timers: BinaryHeap<Reverse<(u64, u32)>>,
    signal_seen: u32,
    /// Closed model of single requests: all responses of a turn are read before their users continue.
    reads_first: bool,
}

impl Worker {
    /// Creates thread number `thread` of the run, for its share of a lane. It registers with `shared` to be woken by commands.
    ///
    /// # Errors
    /// If the system has no file descriptor left for its event loop.
    pub fn new(
        shared: Arc<Shared>,
        thread: usize,
        shard: Shard,
        most_users: usize,
        notes: Sender<Note>,
        spares: Receiver<Box<Second>>,
    ) -> io::Result<Worker> {
        let poller = Poller::new()?;
        let waker = poller.waker()?;
        shared.listen(waker.clone());
        let plan = &shared.plan;
        let most_in_flight = plan.lanes[shard.lane].load.max_in_flight.filter(|_| shard.index == 0).unwrap_or(0);
        let mut worker = Worker {
            transport: Transport::new(plan, shared.tls.clone(), Arc::clone(&shared.turns), waker.clone()),
            waker,
            timers: BinaryHeap::new(),
            signal_seen: shared.signal.load(Ordering::Acquire),
            reads_first: plan.lanes[shard.lane].load.model == Model::Closed && !plan.has_journeys(),
            parts: Parts {
                ledger: Ledger::new(thread, plan, shard.lane, notes, spares),
                schedule: Schedule::new(plan, shard.clone(), Arc::clone(&shared.counters[shard.lane])),
                users: Users::new(plan, shard, most_users),
                poller,
                now: 0,
                most_in_flight,
                staged: Vec::new(),
                shared,
            },
        };
        worker.parts.users.set_data(&worker.parts.shared.data);
        worker.take_secrets();
        Ok(worker)
    }

    /// Sends the load until its end. Called on the thread itself.
    #[inline(never)] // profilers find a load thread by this name
    pub fn run(mut self) {
        poller::sharpen_timers();
        self.parts.ledger.begin();
        loop {
            let clock = clock::monotonic_ns();
            // A stop before the start is a stop at the start.
            if clock >= self.parts.shared.zero || self.parts.shared.stop_at() < u64::MAX {
                break;
            }
            // A core that slept needs up to some milliseconds to be fast again, so the last one is not slept.
            match (self.parts.shared.zero - clock).checked_sub(AWAKE_BEFORE_START) {
                Some(left) if left > 0 => {
                    let _ = self.parts.poller.wait(left);
                }
                _ => std::hint::spin_loop(),
            }
        }
        self.touch();
        self.check_commands();
        self.begin();
        while !self.turn() {}
        self.end();
    }

    /// One turn of the loop: due work, then socket events. Returns true at the end of the run.
    fn turn(&mut self) -> bool {
        if self.parts.shared.signal.load(Ordering::Relaxed) != self.signal_seen {
            self.signal_seen = self.parts.shared.signal.load(Ordering::Acquire);
            self.check_commands();
        }
        self.pass_time();
        if self.is_over() {
            return true;
        }
        let until = self.next_wake();
        let count = if until == self.parts.schedule.next_due() && until > self.parts.now {
            // At an even rate most waits end with a response, so the timer is set once per arrival instead of per wait.
            self.parts.poller.wait_until(self.parts.shared.zero + until)
        } else {
            self.parts.poller.wait(until.saturating_sub(self.parts.now))
        };
        // An error here means a broken epoll descriptor, which is a bug: the thread dies and reports it.
        let count = count.expect("waiting for events");
        if count == 0 {
            self.touch();
            self.notice_stall(until);
            return false;
        }
        let mut first = 0;
        for index in 0..count {
            let event = self.parts.poller.event(index);
            self.on_event(event);
            if index == 0 {
                first = self.parts.now;
                self.notice_stall(until);
            }
            if self.parts.users.freed() > 0 && !self.reads_first {
                self.take_freed();
            }
            if self.parts.now >= self.parts.schedule.next_due() {
                self.take_arrivals();
            }
            if self.transport.has_unflushed() {
                self.flush();
            }
        }
        if self.parts.users.freed() > 0 {
            self.take_freed();
            if self.transport.has_unflushed() {
                self.flush();
            }
        }
        self.notice_stall(first + PER_EVENT * count as u64);
        false
    }

    /// Reads the clock.
    #[inline]
    fn touch(&mut self) {
        self.parts.touch(self.transport.open_connections());
    }

    fn notice_stall(&mut self, expected: u64) {
        let late = self.parts.now.saturating_sub(expected);
        if late > STALL {
            let generator = self.parts.ledger.generator();
            generator.stalls += 1;
            generator.stalled_ns += late;
            generator.longest_stall_ns = generator.longest_stall_ns.max(late);
        }
    }

    #[inline]
    fn on_event(&mut self, event: poller::Event) {
        if event.token == WAKE {
            self.waker.drain();
            self.touch();
            self.transport.take_names(&mut self.parts);
            return;
        }
        self.transport.on_event(event, &mut self.parts);
    }

    /// Does everything that is due at the time last read.
    fn pass_time(&mut self) {
        if self.parts.now >= self.parts.schedule.next_due() {
            self.take_arrivals();
        }
        while let Some(Reverse((due, user))) = self.timers.peek().copied() {
            if due > self.parts.now {
                break;
            }
            self.timers.pop();
            self.on_timer(user, due);
        }
        if self.parts.now >= self.parts.schedule.next_rise() {
            self.raise_users();
        }
        while let Some(user) = self.parts.users.expired(self.parts.now) {
            self.time_out(user);
        }
        if self.parts.now >= self.transport.next_names() {
            self.transport.renew_names(self.parts.now);
        }
        self.parts.schedule.pass_time(self.parts.now);
        if self.parts.users.freed() > 0 {
            self.take_freed();
        }
        if self.parts.users.in_flight() == 0 {
            if self.parts.schedule.is_at_barrier() {
                self.open_barrier();
            } else {
                self.parts.schedule.notice_total();
            }
        }
        if self.transport.has_unflushed() {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.transport.flush(&mut self.parts);
    }

    /// Ends a request because of its timeout.
    fn time_out(&mut self, user: u32) {
        self.touch();
        let (_, rules) = self.parts.users.with_rules(user);
        let message = Message::Timeout { timeout_ns: rules.timeout_ns };
        self.transport.give_up(user, Outcome::Timeout, &message, &mut self.parts);
    }

    fn next_wake(&self) -> u64 {
        if self.parts.users.freed() > 0 {
            return self.parts.now;
        }
        let timer = self.timers.peek().map_or(u64::MAX, |Reverse((due, _))| *due);
        let idle = self.parts.now + HEARTBEAT;
        idle.min(self.parts.ledger.end_of_second())
            .min(self.parts.schedule.next_due())
            .min(timer)
            .min(self.parts.schedule.next_rise())
            .min(self.transport.next_names())
            .min(self.parts.users.next_deadline())
            .min(self.parts.schedule.next_end())
    }
}
