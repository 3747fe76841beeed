//! The end: of a second, of sending, of the run.

use super::user::State;
use super::{SECOND, Worker};
use crate::clock;
use crate::deadlines::NONE;
use crate::message::Message;
use crate::outcome::{Outcome, StopReason};
use crate::plan::Model;
use crate::record::Second;

/// What a thread tells the collector.
#[derive(Debug)]
pub enum Note {
    /// Second `1` of thread `0` is over.
    Second(usize, u64, Box<Second>),
    /// Thread `0` has ended.
    End(usize, Ending),
    /// Thread `0` has died, with this message.
    Lost(usize, String),
}

/// How a thread ended. Times are ns since the start of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// The end of sending; None in the closed model with a total, where it is the last finish of all threads.
    pub end_of_sending: Option<u64>,
    /// The last finish, or the moment of cancel.
    pub last_finish: u64,
    /// When the thread itself ended.
    pub at: u64,
    /// Time at barriers.
    pub barrier_ns: u64,
    /// Why sending ended.
    pub reason: StopReason,
}

impl Worker {
    pub(super) fn drain_end(&self) -> u64 {
        if self.total_reached { self.give_up_at } else { self.end_of_sending.saturating_add(self.graceful_stop) }
    }

    /// Ends sending where it is over, and says whether the whole run is.
    pub(super) fn is_over(&mut self) -> bool {
        if !self.sending_over {
            let time_is_over = self.now >= self.end_of_sending;
            let all_sent = self.reason == StopReason::Total
                && self.end_of_sending != u64::MAX
                && self.next_due == u64::MAX
                && self.in_flight == 0
                && self.waiting.is_empty();
            let total_done = self.total_reached && self.barrier.is_none();
            if !(time_is_over || all_sent || total_done) {
                return false;
            }
            self.end_sending();
        }
        if self.in_flight > 0 && self.now >= self.drain_end() {
            self.abandon();
        }
        self.in_flight == 0
    }

    fn end_sending(&mut self) {
        // What was due by then and not noticed yet: an arrival is never lost.
        self.take_arrivals_before(self.end_of_sending);
        self.sending_over = true;
        self.next_due = u64::MAX;
        self.next_rise = u64::MAX;
        self.timers.clear();
        self.freed.clear();
        let end = self.end_of_sending.min(self.now);
        for due in std::mem::take(&mut self.waiting) {
            let flow = self.schedule.flow(due.number, due.warm_up);
            let figures = self.second.figures(self.routes[flow].endpoint, due.warm_up);
            figures.queued_at_end += 1;
            figures.clamped += u64::from(figures.waits_at_end.record(end.saturating_sub(due.intended)));
        }
    }

    /// What was asked from outside.
    pub(super) fn listen_to_signal(&mut self) {
        self.touch();
        let stop_at = self.shared.stop_at();
        if stop_at < u64::MAX && !matches!(self.reason, StopReason::Stopped | StopReason::Cancelled) {
            // A stop that comes when sending is over anyway changes nothing about why it ended.
            if !self.sending_over && !self.total_reached {
                self.take_arrivals_before(stop_at);
                self.end_of_sending = self.end_of_sending.min(stop_at);
                self.leg_end = u64::MAX;
                self.barrier = None;
                self.reason = StopReason::Stopped;
                self.next_due = u64::MAX;
            } else if self.total_reached {
                // All was sent, and the last finish was awaited without a limit.
                self.give_up_at = self.give_up_at.min(stop_at.saturating_add(self.graceful_stop));
            }
        }
        if self.shared.is_cancelled() {
            self.reason = StopReason::Cancelled;
            if !self.sending_over {
                self.end_sending();
            }
            self.abandon();
            self.total_reached = false;
            self.end_of_sending = self.end_of_sending.min(stop_at);
        }
        self.compile_routes();
    }

    /// Everything in flight is unfinished, and its connections are closed.
    fn abandon(&mut self) {
        self.touch();
        for user in 0..self.users.len() {
            if self.users[user].state == State::Busy {
                self.finish(u32::try_from(user).unwrap_or(NONE), Outcome::Unfinished, &Message::None, 0);
            }
        }
        self.freed.clear();
        self.connections.close_all();
        self.last_finish = self.now;
    }

    pub(super) fn end(mut self) {
        self.touch();
        let open = self.connections.len();
        self.connections.close_all();
        self.report_second(open);
        let ending = Ending {
            end_of_sending: if self.total_reached { None } else { Some(self.end_of_sending) },
            last_finish: self.last_finish,
            at: self.now,
            barrier_ns: self.schedule.barrier_ns(),
            reason: self.reason,
        };
        // The collector outlives the threads, unless the process is going down.
        let _ = self.notes.send(Note::End(self.shard.index, ending));
    }

    #[cold]
    pub(super) fn end_seconds(&mut self) {
        while self.now >= self.second_end {
            self.report_second(self.connections.len());
        }
    }

    fn report_second(&mut self, open_connections: usize) {
        let cpu = clock::thread_cpu_ns();
        let closed = self.shared.plan.load.model == Model::Closed;
        let users = if closed {
            self.users.len().saturating_sub(self.parked.len())
        } else {
            usize::try_from(self.shared.plan.load.max_in_flight.unwrap_or(0)).unwrap_or(0)
        };
        let generator = &mut self.second.generator;
        generator.thread_cpu_ns = cpu.saturating_sub(self.thread_cpu);
        generator.users = if closed || self.shard.index == 0 { users as u64 } else { 0 };
        generator.in_flight = self.in_flight as u64;
        generator.waiting = self.waiting.len() as u64;
        generator.open_connections = open_connections as u64;
        generator.saturated |= !self.waiting.is_empty();
        self.thread_cpu = cpu;
        if self.times_are_equal {
            for (_, _, figures) in self.second.active() {
                figures.service.merge(&figures.response_ok);
                figures.service.merge(&figures.response_failed);
                figures.service.merge(&figures.response_timeout);
            }
        }
        self.sampler.hand_over(&mut self.second.samples);
        let next = match self.spares.try_recv() {
            Ok(mut spare) => {
                spare.clear();
                spare
            }
            Err(_) => Box::new(Second::new(self.shared.plan.endpoints.len())),
        };
        let done = std::mem::replace(&mut self.second, next);
        // The collector outlives the threads, unless the process is going down.
        let _ = self.notes.send(Note::Second(self.shard.index, self.second_number, done));
        self.second_number += 1;
        self.second_end += SECOND;
    }
}
