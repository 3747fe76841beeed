//! When iterations start: arrivals and users, warm-up, legs and the barriers between them, and the end of sending.
//! Pure: times are arguments, and nothing here reads a clock or opens a socket.
//!
//! # Layout
//!
//! - `mod.rs`: the schedule of a thread, in both load models;
//! - `pacer.rs`: load profiles over time; `timetable.rs`: the plan's load as a sequence of arrivals, levels and legs;
//! - `shard.rs`: the part of it that a thread sends;
//! - `open.rs`, `closed.rs`: the rules of the two load models; `sending.rs`: whether iterations may still start.

mod closed;
mod open;
pub mod pacer;
mod sending;
mod shard;
mod timetable;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::counters::Counters;
use crate::outcome::StopReason;
use crate::plan::{Model, Plan};

pub(crate) use closed::NextAction;
pub(crate) use open::Admission;
pub use shard::Shard;
pub use timetable::{Arrival, Next, Timetable};

use closed::ClosedSchedule;
use open::OpenSchedule;
use sending::Sending;

/// The schedule of a thread.
#[derive(Debug)]
pub(crate) struct Schedule {
    timetable: Timetable,
    sending: Sending,
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
            sending: Sending::new(plan.graceful_stop_ns),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use serde_json::{Value, json};

    fn schedule(change: impl FnOnce(&mut Value)) -> Schedule {
        let plan = fixtures::plan(change);
        let mut schedule = Schedule::new(&plan, Shard::all(&plan, 0), Arc::default());
        schedule.begin();
        schedule
    }

    fn open(document: &mut Value) {
        document["lanes"][0]["load"]["model"] = "open".into();
        document["lanes"][0]["load"]["segments"][0] = json!({"start": 1e6, "end": 1e6, "duration_ns": null});
        document["lanes"][0]["total"] = 3.into();
    }

    #[test]
    fn arrivals_are_taken_when_they_are_due_and_sending_ends_after_the_last() {
        let mut schedule = schedule(open);
        assert_eq!(schedule.take_before(0), None);
        let taken: Vec<u64> = std::iter::from_fn(|| schedule.take_before(2001)).map(|taken| taken.intended).collect();
        assert_eq!((taken, schedule.next_due(), schedule.end_of_sending()), (vec![0, 1000, 2000], u64::MAX, 3000));
        assert!(!schedule.ends_now(2500, 1));
        assert!(schedule.ends_now(2500, 0));
        assert!(schedule.ends_now(3000, 1));
        schedule.end_sending();
        assert_eq!((schedule.next_end(), schedule.drains_from()), (3100, 3000));
        assert_eq!(schedule.ending(), (Some(3000), 0, StopReason::Total));
    }

    #[test]
    fn an_arrival_starts_or_waits_or_is_missed() {
        let arrival = Arrival { number: 1, intended: 0, warm_up: false };
        let mut queue = schedule(open);
        assert_eq!(queue.admit(arrival, 1000, true), Admission::Start);
        assert_eq!(queue.admit(arrival, 1001, true), Admission::Skip);
        assert_eq!((queue.admit(arrival, 0, false), queue.waiting()), (Admission::Wait, 1));
        assert_eq!((queue.take_waiting(5), queue.take_waiting(5)), (Some(arrival), None));
        let mut drop = schedule(|document| {
            open(document);
            document["lanes"][0]["load"]["on_saturation"] = "drop".into();
            document["lanes"][0]["load"]["catch_up"] = "none".into();
        });
        assert_eq!(drop.admit(arrival, 0, false), Admission::Drop);
        assert_eq!(drop.admit(arrival, 1001, true), Admission::Start);
        assert_eq!(drop.admit(arrival, 10_000_001, true), Admission::Skip);
    }

    #[test]
    fn what_waits_when_sending_ends_is_given_back() {
        let mut schedule = schedule(open);
        let arrival = Arrival { number: 1, intended: 0, warm_up: false };
        schedule.admit(arrival, 0, false);
        schedule.stop(1500);
        assert_eq!((schedule.end_of_sending(), schedule.take_before(u64::MAX)), (1500, None));
        assert_eq!(schedule.end_sending(), [arrival]);
        assert_eq!(schedule.ending().2, StopReason::Stopped);
        assert!(!schedule.is_undisturbed());
    }

    #[test]
    fn users_go_on_until_the_total_is_taken_and_the_last_finish_ends_sending() {
        let mut schedule = schedule(|document| document["lanes"][0]["total"] = 2.into());
        assert_eq!(schedule.raise(0), 1);
        for number in 1..=2 {
            assert_eq!(schedule.next_action(0, 10), NextAction::Start { intended: 10 });
            assert_eq!(schedule.take(10, 10).map(|arrival| arrival.number), Some(number));
        }
        assert_eq!(schedule.take(10, 10), None);
        assert_eq!(schedule.next_action(0, 10), NextAction::Park);
        assert!(schedule.ends_now(11, 0));
        assert_eq!((schedule.drains_from(), schedule.ending()), (u64::MAX, (None, 0, StopReason::Total)));
        // A stop does not change why sending ended; it limits the wait for the last finish.
        schedule.stop(50);
        assert_eq!((schedule.drain_end(), schedule.ending().2), (150, StopReason::Total));
    }

    #[test]
    fn the_last_number_counts_warm_up_and_ends_sending_like_a_total() {
        let mut schedule = schedule(|document| {
            document["lanes"][0]["last_number"] = 3.into();
            document["lanes"][0]["load"]["warm_up_ns"] = 100.into();
            document["lanes"][0]["load"]["warm_up_level"] = 1.0.into();
        });
        assert_eq!(schedule.raise(0), 1);
        let taken: Vec<_> = [10, 20, 110, 120].map(|at| schedule.take(at, at).map(|arrival| arrival.number)).into();
        assert_eq!(taken, [Some(1), Some(2), Some(3), None]);
        assert_eq!(schedule.next_action(0, 130), NextAction::Park);
        assert!(schedule.ends_now(131, 0));
        assert_eq!(schedule.ending(), (None, 0, StopReason::Total));
    }

    #[test]
    fn tokens_space_the_starts_of_all_threads() {
        let plan = fixtures::plan(|document| document["lanes"][0]["load"]["max_rate"] = 1e6.into());
        let counters = Arc::default();
        let threads = [0, 1].map(|index| Schedule::new(&plan, Shard::new(&plan, 0, index, 2), Arc::clone(&counters)));
        let [mut one, mut other] = threads;
        assert_eq!(one.next_action(0, 100), NextAction::Start { intended: 100 });
        assert_eq!(other.next_action(0, 100), NextAction::Token { due: 1100 });
        assert_eq!(one.next_action(0, 5000), NextAction::Start { intended: 5000 });
        assert!(one.may_start(1100));
    }

    #[test]
    fn users_begin_to_prepare_at_their_rate_over_all_threads() {
        let plan = fixtures::plan(|document| {
            document["flows"][0]["program"] = json!([fixtures::request(0)]);
            document["flows"][0]["before_user"] = document["flows"][0]["program"].clone();
            document["flows"][0]["keeps_session"] = true.into();
            let lane = &mut document["lanes"][0];
            lane["load"]["model"] = "open".into();
            lane["start_ns"] = 500.into();
            lane["prepared"] = json!({"users": 5, "rate": 1e7, "lead_ns": 400});
        });
        let counters = Arc::default();
        let threads = [0, 1].map(|index| Schedule::new(&plan, Shard::new(&plan, 0, index, 2), Arc::clone(&counters)));
        let [mut one, other] = threads;
        assert_eq!((one.users_to_prepare(), other.users_to_prepare()), (3, 2));
        assert_eq!((one.preparation_token(0), other.preparation_token(0)), (100, 200));
        assert_eq!((one.preparation_token(250), other.preparation_token(900)), (300, 900));
        assert_eq!(one.preparation_token(950), 1000);
        assert!(one.should_prepare(0, 10) && !one.prepares_in_warm_up(10));
        one.stop(600);
        assert!(!one.should_prepare(0, 600));
    }

    #[test]
    fn a_ramp_down_ends_the_users_beyond_it() {
        let mut schedule = schedule(|document| {
            document["lanes"][0]["load"]["segments"] =
                json!([{"start": 4.0, "end": 0.0, "duration_ns": 4_000_000_000_u64}]);
        });
        assert_eq!(schedule.raise(0), 4);
        assert_eq!(schedule.next_action(0, 2_000_000_000), NextAction::Start { intended: 2_000_000_000 });
        assert_eq!(schedule.next_action(3, 2_000_000_000), NextAction::End);
        assert_eq!(
            (schedule.end_of_sending(), schedule.next_action(0, 4_000_000_000)),
            (4_000_000_000, NextAction::Park)
        );
    }

    #[test]
    fn a_barrier_holds_the_next_leg_until_everything_has_ended() {
        let mut schedule = schedule(|document| {
            let flow = document["flows"][0].clone();
            document["flows"].as_array_mut().unwrap().push(flow);
            document["lanes"][0]["flows"] = json!([0, 1]);
            document["lanes"][0]["selection"] = "sequential".into();
            document["lanes"][0]["duration_ns"] = 1000.into();
        });
        let arrival = Arrival { number: 1, intended: 0, warm_up: false };
        assert_eq!((schedule.next_end(), schedule.flow(arrival)), (500, 0));
        schedule.pass_time(510);
        assert_eq!((schedule.is_at_barrier(), schedule.next_action(0, 510)), (true, NextAction::Park));
        schedule.open_barrier(620);
        assert_eq!((schedule.flow(arrival), schedule.next_action(0, 620)), (1, NextAction::Start { intended: 620 }));
        // The time at the barrier does not count for the second leg.
        assert_eq!((schedule.next_end(), schedule.ending().1), (1120, 120));
    }
}
