//! A lane's load, warm-up, selection and barriers as a sequence of due iterations, without a clock.
//!
//! Times are ns since the start of the run. Measured load runs in *legs*: a single one, or with `sequential` selection
//! one per flow, separated by barriers. All legs share one profile; `shift` is the barrier time so far.

use super::arrival::{Arrival, Next};
use super::flow_choice::FlowChoice;
use super::pacer::{Profile, users_of};
use super::shard::Shard;
use crate::outcome::StopReason;
use crate::plan::{Load, Model, Plan, Selection, Spacing};
use crate::random;

/// The state of the sequence.
#[derive(Debug, Clone)]
pub struct Timetable {
    load: Load,
    /// The lane's time zero, and the end of its warm-up.
    start: u64,
    measured_from: u64,
    profile: Profile,
    seed: u64,
    shard: Shard,
    flows: FlowChoice,
    total: Option<u64>,
    /// Profile time at which the load ends, and why.
    end: Option<(u64, StopReason)>,
    legs: u64,
    leg: u64,
    shift: u64,
    warm_arrivals: u64,
    /// The number of the next arrival, 1-based.
    number: u64,
    /// The integral of the rate at the next measured arrival.
    reached: f64,
    next: Option<Next>,
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
impl Timetable {
    /// Creates the sequence of a lane of a checked plan.
    #[must_use]
    pub fn new(plan: &Plan, shard: Shard) -> Timetable {
        let lane = &plan.lanes[shard.lane];
        let profile = Profile::new(&lane.load.segments);
        let legs = if lane.selection == Selection::Sequential { lane.flows.len() as u64 } else { 1 };
        let end = match (lane.duration_ns, profile.end_ns()) {
            (Some(duration), Some(stages)) if stages < duration => Some((stages, StopReason::Stages)),
            (Some(duration), _) => Some((duration, StopReason::Duration)),
            (None, stages) => stages.map(|stages| (stages, StopReason::Stages)),
        };
        let warm_seconds = lane.load.warm_up_ns as f64 / 1e9;
        // Round first, so that 0.1 s at 30/s gives three arrivals instead of four.
        let warm_arrivals = ((lane.load.warm_up_level * warm_seconds * 1e6).round() / 1e6).ceil() as u64;
        let mut timetable = Timetable {
            load: lane.load.clone(),
            start: lane.start_ns,
            measured_from: lane.measured_from(),
            profile,
            seed: plan.lane_seed(shard.lane),
            flows: FlowChoice::new(plan, shard.lane),
            shard,
            total: lane.total,
            end,
            legs,
            leg: 0,
            shift: 0,
            warm_arrivals,
            number: 1,
            reached: 0.0,
            next: None,
        };
        timetable.enter_measured();
        timetable
    }

    /// The flow of iteration `number`.
    #[must_use]
    #[inline]
    pub fn flow(&self, number: u64, warm_up: bool) -> usize {
        self.flows.flow(self.seed, number, warm_up, self.leg)
    }

    /// Barrier time so far.
    #[must_use]
    pub fn barrier_ns(&self) -> u64 {
        self.shift
    }

    /// Whether another leg follows this one.
    #[must_use]
    pub fn has_next_leg(&self) -> bool {
        self.leg + 1 < self.legs
    }

    /// Opens the next leg at `now`; `planned` is when it would have opened without a barrier.
    pub fn open_leg(&mut self, planned: u64, now: u64) {
        self.shift += now.saturating_sub(planned);
        self.leg += 1;
        self.next = None;
    }

    /// Number of measured iterations that may start before this leg ends; None if a time ends it.
    #[must_use]
    pub fn leg_limit(&self) -> Option<u64> {
        let total = self.total?;
        let (share, remainder) = (total / self.legs, total % self.legs);
        let legs = self.leg + 1;
        Some(share * legs + legs.min(remainder))
    }

    /// When this leg ends, if a time ends it.
    #[must_use]
    pub fn leg_end(&self) -> Option<u64> {
        let (end, _) = self.end?;
        // With a total, legs are shares of the total, and only the end of the run is a time.
        let profile_end = if self.total.is_some() || self.legs == 1 {
            end
        } else {
            (u128::from(end) * u128::from(self.leg + 1) / u128::from(self.legs)) as u64
        };
        Some(self.absolute(profile_end))
    }

    /// When the load ends without barriers, if a time ends it.
    #[must_use]
    pub fn planned_end(&self) -> Option<u64> {
        self.end.map(|(end, _)| self.measured_from.saturating_add(end))
    }

    /// Why the load ends when its time is over.
    #[must_use]
    pub fn end_reason(&self) -> StopReason {
        self.end.map_or(StopReason::Total, |(_, reason)| reason)
    }

    /// The next event in the open model; unchanged until [`Timetable::advance`].
    pub fn peek(&mut self) -> Next {
        if let Some(next) = self.next {
            return next;
        }
        let next = self.compute();
        self.next = Some(next);
        next
    }

    /// Whether the next event is an arrival that belongs to warm-up if, and only if, `arrival` does.
    pub fn goes_on_in_phase_of(&mut self, arrival: Arrival) -> bool {
        matches!(self.peek(), Next::Arrival(next) if next.warm_up == arrival.warm_up)
    }

    /// Advances to the next arrival.
    pub fn advance(&mut self) {
        self.step();
        self.next = None;
    }

    /// Passes the arrivals that are due before the share's first time; later ones follow. Closed loads have none.
    pub fn skip_others(&mut self) {
        let from = self.shard.first_ns();
        while let Next::Arrival(arrival) = self.peek() {
            if arrival.intended >= from {
                return;
            }
            self.advance();
        }
    }

    /// Number of users of all shares that should exist at `now` in the closed model.
    #[must_use]
    pub fn users(&self, now: u64) -> usize {
        if now < self.start {
            0
        } else if now < self.measured_from {
            users_of(self.load.warm_up_level)
        } else {
            self.profile.users(self.profile_time(now))
        }
    }

    /// The first time from `now` on at which more than `users` users should exist.
    #[must_use]
    pub fn next_rise(&self, users: usize, now: u64) -> Option<u64> {
        let now = now.max(self.start);
        if now < self.measured_from && users_of(self.load.warm_up_level) > users {
            return Some(now);
        }
        self.profile.next_rise(users, self.profile_time(now)).map(|at| self.absolute(at))
    }

    /// The maximum number of users of the share.
    #[must_use]
    pub fn peak_users(&self) -> usize {
        let warm_up = if self.load.warm_up_ns > 0 { users_of(self.load.warm_up_level) } else { 0 };
        self.shard.of_share(users_of(self.profile.peak()).max(warm_up))
    }

    /// True if the share has nothing to send in the closed model.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.shard.is_shared() && (self.total == Some(0) || self.peak_users() == 0)
    }

    /// True if the number of users changes over time.
    #[must_use]
    pub fn users_vary(&self) -> bool {
        let mut levels = self.load.segments.iter().flat_map(|segment| [segment.start, segment.end]);
        // Before its start a lane has none.
        let first = if self.start > 0 {
            0.0
        } else if self.load.warm_up_ns > 0 {
            self.load.warm_up_level
        } else {
            self.load.segments[0].start
        };
        levels.any(|level| users_of(level) != users_of(first))
    }

    /// Arrivals of the share due between two times of the run.
    #[must_use]
    pub fn offered(&self, from: u64, to: u64) -> f64 {
        if self.load.model == Model::Closed {
            return 0.0;
        }
        let most = self.total.map_or(f64::INFINITY, |total| total as f64);
        let ends_at = self.end.map_or(u64::MAX, |(end, _)| end);
        let measured = |at: u64| self.profile.integral(self.profile_time(at).min(ends_at)).min(most);
        let warm = |at: u64| at.clamp(self.start, self.measured_from) as f64 / 1e9 * self.load.warm_up_level;
        let (from, to) = (from.max(self.shard.first_ns()), to.max(self.shard.first_ns()));
        (measured(to) - measured(from) + warm(to) - warm(from)) * self.shard.part()
    }

    /// The phase at a time before the end of sending: `warm_up`, `load`, or with stages `ramp_up`, `hold`, `ramp_down`.
    #[must_use]
    pub fn phase(&self, at: u64) -> &'static str {
        if at < self.measured_from {
            return "warm_up";
        }
        if self.load.segments.len() == 1 && self.load.segments[0].start.to_bits() == self.load.segments[0].end.to_bits()
        {
            return "load";
        }
        let at = self.profile_time(at);
        let (before, after) = (self.profile.held_level(at), self.profile.held_level(at + 1_000_000));
        // At the exact end of a stage the level already holds, so use the millisecond before it.
        let slope = if after.to_bits() == before.to_bits() {
            before - self.profile.held_level(at.saturating_sub(1_000_000))
        } else {
            after - before
        };
        if slope > 0.0 {
            "ramp_up"
        } else if slope < 0.0 {
            "ramp_down"
        } else {
            "hold"
        }
    }

    fn profile_time(&self, now: u64) -> u64 {
        now.saturating_sub(self.measured_from).saturating_sub(self.shift)
    }

    fn absolute(&self, profile_time: u64) -> u64 {
        profile_time.saturating_add(self.measured_from).saturating_add(self.shift)
    }

    fn compute(&mut self) -> Next {
        if self.shard.has_arrival(self.number) { self.compute_one() } else { self.compute_after_others() }
    }

    /// The next event after arrivals of others. When they are due is not needed, unless one of them may end the load.
    fn compute_after_others(&mut self) -> Next {
        let last = self.leg_limit().map_or(u64::MAX, |limit| self.warm_arrivals.saturating_add(limit));
        while !self.shard.has_arrival(self.number) {
            if self.number >= last {
                let next = self.compute_one();
                if !matches!(next, Next::Arrival(_)) {
                    return next;
                }
            }
            self.step();
        }
        self.compute_one()
    }

    fn compute_one(&self) -> Next {
        if self.number <= self.warm_arrivals {
            let intended = ((self.number - 1) as f64 / self.load.warm_up_level * 1e9).round() as u64;
            return Next::Arrival(Arrival { number: self.number, intended: self.start + intended, warm_up: true });
        }
        let sent = self.number - self.warm_arrivals - 1;
        let intended = self.profile.inverse(self.reached).map(|at| self.absolute(at));
        if self.total.is_some_and(|total| sent >= total) {
            return Next::Over(self.after_last(intended), StopReason::Total);
        }
        if self.leg_limit().is_some_and(|limit| sent >= limit) {
            return Next::LegOver(self.after_last(intended));
        }
        match (intended, self.leg_end()) {
            (Some(intended), end) if end.is_none_or(|end| intended < end) => {
                Next::Arrival(Arrival { number: self.number, intended, warm_up: false })
            }
            (_, Some(end)) if self.total.is_none() && self.has_next_leg() => Next::LegOver(end),
            (_, end) => Next::Over(end.unwrap_or(self.absolute(0)), self.end_reason()),
        }
    }

    /// The end of sending if a count ends it: the last intended start plus one gap at the rate of that time.
    fn after_last(&self, following: Option<u64>) -> u64 {
        let profile_end = self.end.map_or(u64::MAX, |(end, _)| self.absolute(end));
        let at = if self.load.arrival == Spacing::Even {
            following
        } else {
            // The next arrival of a Poisson process is not an even gap away, so the gap is computed from the rate.
            let last = self.reached - self.gap();
            self.profile.inverse(last).map(|last| {
                let rate = self.profile.held_level(last);
                let gap = if rate > 0.0 { (1e9 / rate).round() as u64 } else { 0 };
                self.absolute(last.saturating_add(gap))
            })
        };
        at.unwrap_or(profile_end).min(profile_end)
    }

    fn step(&mut self) {
        self.number += 1;
        if self.number == self.warm_arrivals + 1 {
            self.enter_measured();
        } else if self.number > self.warm_arrivals {
            self.reached += self.gap();
        }
    }

    fn enter_measured(&mut self) {
        if self.number == self.warm_arrivals + 1 {
            self.reached = if self.load.arrival == Spacing::Even { 0.0 } else { self.gap() };
        }
    }

    /// The integral of the rate between the previous arrival and `self.number`.
    fn gap(&self) -> f64 {
        match self.load.arrival {
            Spacing::Even => 1.0,
            Spacing::Poisson => -random::arrival_uniform(self.seed, self.number).ln(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use serde_json::Value;

    #[derive(serde::Deserialize)]
    struct Cases {
        tolerance_ns: u64,
        arrivals: Vec<Case>,
    }

    #[derive(serde::Deserialize)]
    struct Case {
        name: String,
        load: Value,
        seed: u64,
        warm_up_arrivals: u64,
        starts: Vec<(u64, u64)>,
    }

    /// The tests of `atm.plan.pacer` read the same file.
    #[test]
    fn arrivals_come_when_they_come_in_every_language() {
        let cases: Cases = serde_json::from_str(include_str!("../../../../tests/vectors/pacing.json")).unwrap();
        assert!(cases.arrivals.len() > 3);
        for Case { name, load, seed, warm_up_arrivals, starts } in cases.arrivals {
            let plan = fixtures::plan(|document| {
                document["lanes"][0]["load"] = load;
                document["seed"] = seed.into();
            });
            let mut timetable = Timetable::new(&plan, Shard::all(&plan, 0));
            for (number, at) in starts {
                let arrival = loop {
                    let Next::Arrival(arrival) = timetable.peek() else { panic!("{name}: no arrival {number}") };
                    timetable.advance();
                    if arrival.number == number {
                        break arrival;
                    }
                };
                assert!(arrival.intended.abs_diff(at) <= cases.tolerance_ns, "{name}: {arrival:?}, expected at {at}");
                assert_eq!(arrival.warm_up, number <= warm_up_arrivals, "{name}: {arrival:?}");
            }
        }
    }
}
