//! When iterations start: arrivals and users, warm-up, legs and the barriers between them, and the end of sending.
//! Pure: times are arguments, and nothing here reads a clock or opens a socket.
//!
//! # Layout
//!
//! - `mod.rs`: the schedule of a thread, in both load models;
//! - `pacer.rs`: load profiles over time; `timetable.rs`: the plan's load as a sequence of arrivals, levels and legs;
//! - `arrival.rs`: an iteration that is due; `flow_choice.rs`: its flow; `shard.rs`: the part of all that a thread sends;
//! - `open.rs`, `closed.rs`: the rules of the two load models; `send_phase.rs`: whether iterations may still start.

mod arrival;
mod closed;
mod flow_choice;
mod open;
pub mod pacer;
mod send_phase;
mod shard;
#[cfg(test)]
mod tests;
mod timetable;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::counters::Counters;
use crate::outcome::StopReason;
use crate::plan::{Model, Plan};

pub use arrival::{Arrival, Next};
pub(crate) use closed::NextAction;
pub(crate) use open::Admission;
pub use shard::Shard;
pub use timetable::Timetable;

use closed::ClosedSchedule;
use open::OpenSchedule;
use send_phase::SendPhase;

/// The schedule of a thread.
#[derive(Debug)]
pub(crate) struct Schedule {
    timetable: Timetable,
    sending: SendPhase,
    /// The open model's schedule; idle in the closed model.
    open: OpenSchedule,
    /// The closed model's schedule; idle in the open model.
    closed: ClosedSchedule,
    is_closed: bool,
    ends_by_time: bool,
}

impl Schedule {
    /// Creates the schedule for a thread's share; `counters` are shared by all threads of its lane.
    pub(crate) fn new(plan: &Plan, shard: Shard, counters: Arc<Counters>) -> Schedule {
        let lane = &plan.lanes[shard.lane];
        let mut timetable = Timetable::new(plan, shard.clone());
        if plan.share.from_ns > 0 {
            timetable.skip_others();
        }
        Schedule {
            sending: SendPhase::new(plan.graceful_stop_ns),
            open: OpenSchedule::new(lane, &shard, Arc::clone(&counters)),
            closed: ClosedSchedule::new(plan, shard, &timetable, counters),
            timetable,
            is_closed: lane.load.model == Model::Closed,
            ends_by_time: lane.total.is_none(),
        }
    }

    /// Starts the schedule. In the closed model [`Schedule::raise`] is due at once.
    pub(crate) fn begin(&mut self) {
        self.begin_leg();
        if self.is_closed && self.timetable.is_idle() {
            self.sending.reach_total();
        }
    }

    /// Sets when time ends this leg and, with the last one, all sending.
    fn begin_leg(&mut self) {
        let end = self.timetable.leg_end().unwrap_or(u64::MAX);
        if self.timetable.has_next_leg() && self.ends_by_time {
            self.sending.leg_end = end;
        } else {
            self.sending.leg_end = u64::MAX;
            if end < u64::MAX && self.is_closed {
                self.sending.end = end;
                self.sending.reason = self.timetable.end_reason();
            }
        }
        if !self.is_closed {
            self.open.look_ahead(&mut self.timetable, &mut self.sending);
        }
    }

    /// True in the closed model.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// The flow of an iteration.
    #[inline]
    pub(crate) fn flow(&self, arrival: Arrival) -> usize {
        self.timetable.flow(arrival.number, arrival.warm_up)
    }

    /// When the next arrival is due; `u64::MAX` for never, and in the closed model.
    #[inline]
    pub(crate) fn next_due(&self) -> u64 {
        self.open.next_due()
    }

    /// When [`Schedule::raise`] is due; `u64::MAX` for never, and in the open model.
    #[inline]
    pub(crate) fn next_rise(&self) -> u64 {
        self.closed.next_rise()
    }

    /// When the leg, all sending, or the drain ends.
    #[inline]
    pub(crate) fn next_end(&self) -> u64 {
        if self.sending.is_over { self.sending.drain_end() } else { self.sending.ends_at() }
    }

    /// Open model: the next arrival, if it is due before `limit`.
    pub(crate) fn take_before(&mut self, limit: u64) -> Option<Arrival> {
        // After a stop, arrivals that are due later are none.
        if self.open.next_due() >= limit.min(self.sending.end) {
            return None;
        }
        self.open.take(&mut self.timetable, &mut self.sending)
    }

    /// Open model: the arrival after `first`, which starts at `now`, if the two start together. It is due from then on.
    pub(crate) fn take_second(&mut self, first: Arrival, now: u64) -> Option<Arrival> {
        let limit = first.intended + self.open.pairs_within()? + 1;
        // The first request of the measured load is not due before that begins.
        if self.open.next_due() >= limit || !self.timetable.goes_on_in_phase_of(first) {
            return None;
        }
        let arrival = self.take_before(limit)?;
        Some(Arrival { intended: arrival.intended.min(now), ..arrival })
    }

    /// Open model: what to do with an arrival noticed `late` ns late, depending on whether a user is free.
    pub(crate) fn admit(&mut self, arrival: Arrival, late: u64, has_user: bool) -> Admission {
        self.open.admit(arrival, late, has_user)
    }

    /// Number of arrivals waiting for a user.
    #[inline]
    pub(crate) fn waiting(&self) -> usize {
        self.open.waiting()
    }

    /// Open model: the longest waiting arrival, for a user that is free at `now`.
    pub(crate) fn take_waiting(&mut self, now: u64) -> Option<Arrival> {
        if self.sending.is_over || now >= self.sending.end {
            return None;
        }
        self.open.take_waiting()
    }

    /// Closed model: number of this thread's users that should run at `now`.
    pub(crate) fn raise(&mut self, now: u64) -> usize {
        self.closed.raise(&self.timetable, now)
    }

    /// Closed model: the next action of an idle user at `now`.
    #[inline]
    pub(crate) fn next_action(&mut self, user: u32, now: u64) -> NextAction {
        self.closed.next_action(user, now, &self.timetable, &self.sending)
    }

    /// Open model: number of this thread's prepared users; 0 without any.
    pub(crate) fn users_to_prepare(&self) -> usize {
        self.open.users_to_prepare()
    }

    /// Open model: takes the time at which a user who is ready at `due` may begin to prepare.
    pub(crate) fn preparation_token(&self, due: u64) -> u64 {
        self.open.preparation_token(due)
    }

    /// Whether `user` should prepare at `now`.
    pub(crate) fn should_prepare(&mut self, user: u32, now: u64) -> bool {
        if !self.is_closed {
            return !self.sending.is_over && now < self.sending.end;
        }
        self.closed.pause_or_end(user, now, &self.timetable, &self.sending).is_none()
    }

    /// Whether what a user prepares at `now` counts as warm-up: in the closed model, before the measured load.
    pub(crate) fn prepares_in_warm_up(&self, now: u64) -> bool {
        self.is_closed && self.closed.is_warm_up(now)
    }

    /// Closed model: whether a user whose token was due at `due` may start.
    pub(crate) fn may_start(&self, due: u64) -> bool {
        !self.sending.is_over && !self.sending.total_reached && due < self.sending.ends_at()
    }

    /// Closed model: takes the iteration with this intended start; None if there is none left for now.
    #[inline]
    pub(crate) fn take(&mut self, intended: u64, now: u64) -> Option<Arrival> {
        self.closed.take(intended, now, &self.timetable, &mut self.sending)
    }

    /// Closed model: starts wait for the tokens of `max_rate`.
    #[inline]
    pub(crate) fn has_tokens(&self) -> bool {
        self.closed.has_tokens()
    }

    /// Ends the leg if its time is over: nothing starts until everything in flight has ended.
    pub(crate) fn pass_time(&mut self, now: u64) {
        if now >= self.sending.leg_end && !self.sending.is_over {
            let planned = std::mem::replace(&mut self.sending.leg_end, u64::MAX);
            self.sending.barrier = Some(planned);
            self.open.hold();
        }
    }

    /// True between the end of a leg and the start of the next one.
    pub(crate) fn is_at_barrier(&self) -> bool {
        self.sending.barrier.is_some() && self.waiting() == 0
    }

    /// Starts the next leg at `now`, when everything of the previous one has ended.
    pub(crate) fn open_barrier(&mut self, now: u64) {
        let planned = self.sending.barrier.take().unwrap_or(now);
        self.timetable.open_leg(planned.min(now), now);
        self.begin_leg();
    }

    /// With nothing in flight: checks whether other threads have sent the rest of the total.
    pub(crate) fn notice_total(&mut self) {
        if self.is_closed && self.closed.is_total_taken() {
            self.sending.reach_total();
        }
    }

    /// True if sending must end at `now`.
    pub(crate) fn ends_now(&self, now: u64, in_flight: usize) -> bool {
        let sending = &self.sending;
        let all_sent = sending.reason == StopReason::Total
            && sending.end != u64::MAX
            && self.next_due() == u64::MAX
            && in_flight == 0
            && self.waiting() == 0;
        let total_done = sending.total_reached && sending.barrier.is_none();
        !sending.is_over && (now >= sending.end || all_sent || total_done)
    }

    /// True if sending has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.sending.is_over
    }

    /// Ends sending. Arrivals that are still waiting are missed; take everything that was due first.
    pub(crate) fn end_sending(&mut self) -> VecDeque<Arrival> {
        self.sending.is_over = true;
        self.closed.hold();
        self.open.end()
    }

    /// When sending ends or has ended; `u64::MAX` while no time limits it.
    pub(crate) fn end_of_sending(&self) -> u64 {
        self.sending.end
    }

    /// When requests still in flight are abandoned.
    pub(crate) fn drain_end(&self) -> u64 {
        self.sending.drain_end()
    }

    /// Requests that end after this time are drained.
    #[inline]
    pub(crate) fn drains_from(&self) -> u64 {
        self.sending.drains_from()
    }

    /// True before a stop or cancel.
    pub(crate) fn is_undisturbed(&self) -> bool {
        !matches!(self.sending.reason, StopReason::Stopped | StopReason::Cancelled)
    }

    /// True if a stop ends sending; take what is due before it first.
    pub(crate) fn can_be_stopped(&self) -> bool {
        self.sending.can_be_stopped()
    }

    /// Handles a stop requested at `at`.
    pub(crate) fn stop(&mut self, at: u64) {
        if self.can_be_stopped() {
            self.open.hold();
        }
        self.sending.stop(at);
    }

    /// Handles a stop at `at` by a step, before the end of sending has been handled: nothing starts from now on.
    pub(crate) fn stop_run(&mut self, at: u64) {
        self.sending.stop(at);
    }

    /// Handles a cancel requested at `at`; sending has been ended.
    pub(crate) fn cancel(&mut self, at: u64) {
        self.sending.cancel(at);
    }

    /// The end of sending, if it is a time; barrier time; and why sending ended.
    pub(crate) fn ending(&self) -> (Option<u64>, u64, StopReason) {
        let end = if self.sending.total_reached { None } else { Some(self.sending.end) };
        (end, self.timetable.barrier_ns(), self.sending.reason)
    }
}
