//! A load thread: one event loop that owns its users and their connections. Nothing here is shared but [`Shared`].
//!
//! # Layout
//!
//! - `mod.rs`: the loop and its time; `ending.rs`: the end of a second, of sending, of the run;
//! - `routes.rs`: what is known about each flow's requests before any is sent; `user.rs`: who sends them;
//! - `load.rs`: which user starts what when, in both load models;
//! - `connections.rs`, `names.rs`, `dialling.rs`: connections, and how they come about;
//! - `exchange.rs`: sending a request, reading its response, and the one place in which a request ends;
//! - `redirects.rs`: following where an answer points; `sampling.rs`: which requests are kept whole;
//! - `multiplex`: the same over HTTP/2, where users share connections.

mod connections;
mod dialling;
mod ending;
mod exchange;
mod load;
mod multiplex;
mod names;
mod redirects;
mod routes;
mod sampling;
mod user;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender};

use crate::clock;
use crate::deadlines::Deadlines;
use crate::outcome::StopReason;
use crate::plan::{HttpVersion, Model, Origin};
use crate::poller::{self, Poller, WAKE};
use crate::record::Second;
use crate::resolver::Resolver;
use crate::response::HeadCache;
use crate::schedule::{Due, Schedule, Shard};
use crate::shared::Shared;

use connections::{ConnectionKey, Connections};
pub use ending::{Ending, Note};
use routes::Route;
use sampling::Sampler;
use user::User;

const SECOND: u64 = 1_000_000_000;
/// Coming back this much later than asked is a stall.
const STALL: u64 = 10_000_000;
/// How long a loop waits at most: a machine that was paused shows in a wait that took longer.
const HEARTBEAT: u64 = 25_000_000;
/// Handling one event takes far less than this, so a turn that took longer was interrupted.
const PER_EVENT: u64 = 100_000;
const READ_BUFFER: usize = 64 * 1024;
/// Users that go on without an answer (refused at once, say) are taken up to this many per turn of the loop.
const FREED_PER_TURN: usize = 256;

/// One load thread.
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own, and no two make a state
pub struct Worker {
    shared: Arc<Shared>,
    shard: Shard,
    poller: Poller,
    waker: poller::Waker,
    /// ns since the start of the run, as last read.
    now: u64,
    schedule: Schedule,
    routes: Vec<Route>,
    users: Vec<User>,
    connections: Connections,
    deadlines: Deadlines,
    /// (time, user): tokens and pauses.
    timers: BinaryHeap<Reverse<(u64, u32)>>,
    /// Open model: users without a request, the last one used on top.
    free: Vec<u32>,
    /// Closed model: users that do not run now, by index.
    parked: BinaryHeap<Reverse<u32>>,
    /// Open model: how many users there may be.
    most_users: usize,
    /// Open model: arrivals that wait for a user.
    waiting: VecDeque<Due>,
    /// Users whose request has just ended.
    freed: VecDeque<u32>,
    in_flight: usize,
    /// Open model: when the next arrival is due.
    next_due: u64,
    /// Closed model: when the next user begins.
    next_rise: u64,
    users_vary: bool,
    token_gap: Option<u64>,
    /// Response and service time are always the same, so they are recorded once.
    times_are_equal: bool,
    /// When this leg's sending ends, `u64::MAX` while no time ends it.
    leg_end: u64,
    /// A leg is over and the next has not opened yet; what was its planned end.
    barrier: Option<u64>,
    /// When sending ends; `u64::MAX` while no time ends it.
    end_of_sending: u64,
    sending_over: bool,
    total_reached: bool,
    reason: StopReason,
    last_finish: u64,
    signal_seen: u32,
    /// The plan's origins, and those that redirects have led to.
    origins: Vec<Origin>,
    /// Where connections are dialled instead.
    proxy: Option<Origin>,
    resolver: Option<Resolver>,
    /// (origin or proxy, user, request number): requests that wait for a name to be looked up.
    awaiting_names: Vec<(u32, u32, u64)>,
    /// When names are looked up again.
    next_names: u64,
    /// By flow: the head that was read last.
    head_caches: Vec<HeadCache>,
    follows_redirects: bool,
    /// HTTP/2: the connection of each group of users.
    links: HashMap<ConnectionKey, u32>,
    /// Origins that agreed upon HTTP/1.1 where both were offered.
    speaks_one: Vec<u32>,
    templates: Arc<[h2client::Template]>,
    /// Shared connections that have something to send.
    dirty: Vec<u32>,
    /// Streams that ended in the piece of input that is being read.
    ended_streams: Vec<multiplex::Ended>,
    most_bytes: u64,
    /// What is read from a socket.
    buffer: Vec<u8>,
    /// A rendered request.
    outgoing: Vec<u8>,
    /// What TLS writes to a socket.
    records: Vec<u8>,
    /// What TLS reads from a socket.
    plain: Vec<u8>,
    second: Box<Second>,
    second_number: u64,
    second_end: u64,
    thread_cpu: u64,
    notes: Sender<Note>,
    spares: Receiver<Box<Second>>,
    sampler: Sampler,
    graceful_stop: u64,
    /// A stop after the total was reached: how long what is in flight may still take.
    give_up_at: u64,
}

impl Worker {
    /// A thread for its share of the plan. It registers itself with `shared` for being woken.
    ///
    /// # Errors
    /// Where the system has no file descriptor left for its event loop.
    pub fn new(
        shared: Arc<Shared>,
        shard: Shard,
        most_users: usize,
        notes: Sender<Note>,
        spares: Receiver<Box<Second>>,
    ) -> io::Result<Worker> {
        let poller = Poller::new()?;
        let waker = poller.waker()?;
        shared.listen(waker.clone());
        let plan = &shared.plan;
        let schedule = Schedule::new(plan, shard);
        let closed = plan.load.model == Model::Closed;
        let multiplexes = plan.connections.http_version != HttpVersion::One;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // rates are within 1e-9 to 1e7
        let token_gap = plan.load.max_rate.filter(|_| closed).map(|rate| (1e9 / rate).round().min(1e18) as u64);
        let mut worker = Worker {
            shard,
            poller,
            waker,
            now: 0,
            users_vary: schedule.users_vary(),
            routes: Vec::new(),
            users: Vec::new(),
            connections: Connections::default(),
            deadlines: Deadlines::default(),
            timers: BinaryHeap::new(),
            free: Vec::new(),
            parked: BinaryHeap::new(),
            most_users,
            waiting: VecDeque::new(),
            freed: VecDeque::new(),
            in_flight: 0,
            next_due: u64::MAX,
            next_rise: u64::MAX,
            times_are_equal: closed && token_gap.is_none(),
            token_gap,
            leg_end: u64::MAX,
            barrier: None,
            end_of_sending: u64::MAX,
            sending_over: false,
            total_reached: false,
            reason: StopReason::Total,
            last_finish: 0,
            signal_seen: shared.signal.load(Ordering::Acquire),
            origins: plan.origins.clone(),
            proxy: plan.connections.proxy.as_ref().map(|proxy| proxy.origin.clone()),
            resolver: None,
            awaiting_names: Vec::new(),
            next_names: plan.connections.resolve_every_ns.unwrap_or(u64::MAX),
            links: HashMap::new(),
            speaks_one: Vec::new(),
            templates: if multiplexes { multiplex::templates(plan) } else { Arc::from([]) },
            dirty: Vec::new(),
            ended_streams: Vec::new(),
            head_caches: plan.flows.iter().map(|_| HeadCache::default()).collect(),
            follows_redirects: plan.connections.redirects > 0,
            most_bytes: plan.connections.max_response_bytes.unwrap_or(u64::MAX),
            buffer: vec![0; READ_BUFFER],
            outgoing: Vec::new(),
            records: Vec::new(),
            plain: Vec::new(),
            second: Box::new(Second::new(plan.endpoints.len())),
            second_number: 0,
            second_end: SECOND,
            thread_cpu: 0,
            notes,
            spares,
            sampler: Sampler::new(plan),
            graceful_stop: plan.graceful_stop_ns,
            give_up_at: u64::MAX,
            schedule,
            shared,
        };
        worker.compile_routes();
        Ok(worker)
    }

    /// Sends the load until its end. Called on a thread of its own.
    pub fn run(mut self) {
        poller::sharpen_timers();
        self.thread_cpu = clock::thread_cpu_ns();
        loop {
            let clock = clock::monotonic_ns();
            if clock >= self.shared.zero {
                break;
            }
            // A cancel before the start is seen by the first turn of the loop.
            let _ = self.poller.wait(self.shared.zero - clock);
        }
        self.touch();
        self.listen_to_signal();
        self.begin();
        while !self.turn() {}
        self.end();
    }

    /// One turn of the loop: what is due, then what has happened. True at the end of the run.
    fn turn(&mut self) -> bool {
        if self.shared.signal.load(Ordering::Relaxed) != self.signal_seen {
            self.signal_seen = self.shared.signal.load(Ordering::Acquire);
            self.listen_to_signal();
        }
        self.pass_time();
        if self.is_over() {
            return true;
        }
        let until = self.next_wake();
        let count = if until == self.next_due && until > self.now {
            // Of an even rate most waits end with an answer: so the timer is set once for each arrival, not for each wait.
            self.poller.wait_until(self.shared.zero + until)
        } else {
            self.poller.wait(until.saturating_sub(self.now))
        };
        // An error here would be a broken epoll descriptor, that is a bug: the thread is lost, and says so.
        let count = count.expect("waiting for events");
        if count == 0 {
            self.touch();
            self.notice_stall(until);
            return false;
        }
        let mut first = 0;
        for index in 0..count {
            let event = self.poller.event(index);
            self.on_event(event);
            if index == 0 {
                first = self.now;
                self.notice_stall(until);
            }
            if !self.freed.is_empty() {
                self.take_freed();
            }
            if self.now >= self.next_due {
                self.take_arrivals();
            }
            if !self.dirty.is_empty() {
                self.flush_streams();
            }
        }
        self.notice_stall(first + PER_EVENT * count as u64);
        false
    }

    /// Reads the clock.
    #[inline]
    fn touch(&mut self) {
        self.now = self.shared.now();
        if self.now >= self.second_end {
            self.end_seconds();
        }
    }

    fn notice_stall(&mut self, asked: u64) {
        let late = self.now.saturating_sub(asked);
        if late > STALL {
            let generator = &mut self.second.generator;
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
            self.take_names();
            return;
        }
        let Some(connection) = self.connections.find(event.token) else {
            self.touch();
            return;
        };
        if self.connections.is_open(connection) {
            if event.writable && self.connections.has_unsent(connection) {
                self.touch();
                self.send_rest(connection);
            }
            // What was sent may have ended the connection, and another may have its place.
            if event.readable && self.connections.find(event.token).is_some() {
                self.receive(connection, event.hangup);
            }
        } else {
            self.touch();
            self.advance_dial(connection, event);
        }
    }

    /// Everything that is due by the time last read.
    fn pass_time(&mut self) {
        if self.now >= self.next_due {
            self.take_arrivals();
        }
        while let Some(Reverse((due, user))) = self.timers.peek().copied() {
            if due > self.now {
                break;
            }
            self.timers.pop();
            self.on_timer(user, due);
        }
        if self.now >= self.next_rise {
            self.raise_users();
        }
        while let Some(user) = self.deadlines.expired(self.now) {
            self.time_out(user);
        }
        if self.now >= self.next_names {
            self.renew_names();
        }
        if self.now >= self.leg_end && !self.sending_over {
            self.end_leg();
        }
        if !self.freed.is_empty() {
            self.take_freed();
        }
        if self.in_flight == 0 {
            if self.barrier.is_some() && self.waiting.is_empty() {
                self.open_barrier();
            } else if self.shared.plan.total_requests.is_some_and(|total| self.shared.tickets.get() >= total) {
                // Other threads have sent it all.
                self.reach_total();
            }
        }
        if !self.dirty.is_empty() {
            self.flush_streams();
        }
    }

    fn next_wake(&self) -> u64 {
        if !self.freed.is_empty() {
            return self.now;
        }
        let timer = self.timers.peek().map_or(u64::MAX, |Reverse((due, _))| *due);
        let ending = if self.sending_over { self.drain_end() } else { self.leg_end.min(self.end_of_sending) };
        let idle = self.now + HEARTBEAT;
        idle.min(self.second_end)
            .min(self.next_due)
            .min(timer)
            .min(self.next_rise)
            .min(self.next_names)
            .min(self.deadlines.next())
            .min(ending)
    }
}
