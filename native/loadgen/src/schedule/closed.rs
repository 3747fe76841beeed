//! The closed model: the number of users, when each continues, and the numbers and tickets shared by threads.

use std::sync::Arc;

use super::arrival::Arrival;
use super::send_phase::SendPhase;
use super::shard::Shard;
use super::timetable::Timetable;
use crate::counters::Counters;
use crate::plan::Plan;

/// The closed model's schedule of one thread.
#[derive(Debug)]
pub(super) struct ClosedSchedule {
    counters: Arc<Counters>,
    shard: Shard,
    /// The end of warm-up.
    measured_from: u64,
    total: Option<u64>,
    /// The most iterations of all threads.
    most: u64,
    /// With `max_rate`: ns between two starts, over all threads.
    token_gap: Option<u64>,
    users_vary: bool,
    /// When the next user starts.
    next_rise: u64,
}

/// The next action of an idle user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextAction {
    /// Start an iteration with this intended start.
    Start { intended: u64 },
    /// Wait for its token.
    Token { due: u64 },
    /// Stop running for now.
    Park,
    /// End, because a ramp goes down.
    End,
}

impl ClosedSchedule {
    pub(super) fn new(plan: &Plan, shard: Shard, timetable: &Timetable, counters: Arc<Counters>) -> ClosedSchedule {
        let lane = &plan.lanes[shard.lane];
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // rates are within 1e-9 to 1e7
        let token_gap = lane.load.max_rate.map(|rate| (1e9 / rate).round().min(1e18) as u64);
        ClosedSchedule {
            counters,
            measured_from: lane.measured_from(),
            total: lane.total,
            most: lane.last_number.map_or(u64::MAX, |last| shard.numbers_to(last)),
            shard,
            token_gap,
            users_vary: timetable.users_vary(),
            next_rise: u64::MAX,
        }
    }

    #[inline]
    pub(super) fn next_rise(&self) -> u64 {
        self.next_rise
    }

    /// True with `max_rate`.
    #[inline]
    pub(super) fn has_tokens(&self) -> bool {
        self.token_gap.is_some()
    }

    /// Adds no further user until [`ClosedSchedule::raise`].
    pub(super) fn hold(&mut self) {
        self.next_rise = u64::MAX;
    }

    /// Number of users of this thread that should run now.
    pub(super) fn raise(&mut self, timetable: &Timetable, now: u64) -> usize {
        let users = timetable.users(now);
        self.next_rise = self.next_rise_from(timetable, users, now);
        self.shard.users_of(users)
    }

    fn next_rise_from(&self, timetable: &Timetable, users: usize, now: u64) -> u64 {
        if !self.users_vary {
            return u64::MAX;
        }
        timetable.next_rise(users, now + 1).unwrap_or(u64::MAX)
    }

    /// True before the measured load.
    pub(super) fn is_warm_up(&self, now: u64) -> bool {
        now < self.measured_from
    }

    /// The next action of `user`.
    #[inline]
    pub(super) fn next_action(
        &mut self,
        user: u32,
        now: u64,
        timetable: &Timetable,
        sending: &SendPhase,
    ) -> NextAction {
        if let Some(action) = self.pause_or_end(user, now, timetable, sending) {
            return action;
        }
        let Some(gap) = self.token_gap else { return NextAction::Start { intended: now } };
        let token = self.counters.next_token.reserve(now, gap);
        if token <= now { NextAction::Start { intended: token } } else { NextAction::Token { due: token } }
    }

    /// The next action of `user` if it should not run at `now`.
    #[inline]
    pub(super) fn pause_or_end(
        &mut self,
        user: u32,
        now: u64,
        timetable: &Timetable,
        sending: &SendPhase,
    ) -> Option<NextAction> {
        if sending.is_over || sending.total_reached || now >= sending.ends_at() || sending.barrier.is_some() {
            return Some(NextAction::Park);
        }
        if self.users_vary {
            let users = timetable.users(now);
            if (users as u64) < self.shard.user_number(user) {
                self.next_rise = self.next_rise_from(timetable, users, now);
                return Some(NextAction::End);
            }
        }
        None
    }

    /// Takes the iteration with this intended start; None if there is none left for now.
    #[inline]
    pub(super) fn take(
        &self,
        intended: u64,
        now: u64,
        timetable: &Timetable,
        sending: &mut SendPhase,
    ) -> Option<Arrival> {
        let warm_up = intended < self.measured_from;
        if !warm_up && let Some(total) = self.total {
            // Legs exist on one thread only, so no other takes a ticket between the check and the increment.
            if timetable.has_next_leg()
                && timetable.leg_limit().is_some_and(|limit| self.counters.tickets.get() >= limit)
            {
                sending.barrier = Some(now);
                return None;
            }
            if self.counters.tickets.take() >= total {
                sending.reach_total();
                return None;
            }
        }
        let started = self.counters.numbers.take();
        if started >= self.most {
            sending.reach_total();
            return None;
        }
        Some(Arrival { number: self.shard.iteration_number(started), intended, warm_up })
    }

    /// True if all threads together have sent the total, or the last number.
    pub(super) fn is_total_taken(&self) -> bool {
        self.total.is_some_and(|total| self.counters.tickets.get() >= total) || self.counters.numbers.get() >= self.most
    }
}
