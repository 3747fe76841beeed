//! Load profiles as pure functions of elapsed time or of the number of an arrival.
//!
//! Reads no clock. Profile time starts at 0 with the measured load, in nanoseconds; levels are users or arrivals per
//! second.

use crate::plan::Segment;

const SECOND: f64 = 1e9;

/// A profile of linear segments with the integral of the rate up to each.
#[derive(Debug, Clone)]
pub struct Profile {
    pieces: Vec<Piece>,
    /// The end of the last segment; None for an endless profile.
    end_ns: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    /// Profile time of its start, ns.
    begin: f64,
    /// Seconds; infinite for the last of an endless profile.
    seconds: f64,
    start: f64,
    end: f64,
    /// The integral of the rate before it.
    before: f64,
    /// The integral of the rate over it.
    area: f64,
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
// Profile times are below 2^53 ns for 104 days; beyond that, rounding to a few ns is harmless.
impl Profile {
    /// Creates the profile of the plan's segments.
    #[must_use]
    pub fn new(segments: &[Segment]) -> Profile {
        let (mut begin_ns, mut before) = (0_u64, 0.0);
        let mut pieces = Vec::with_capacity(segments.len());
        let mut end_ns = None;
        for segment in segments {
            let seconds = segment.duration_ns.map_or(f64::INFINITY, |duration| duration as f64 / SECOND);
            let mean = f64::midpoint(segment.start, segment.end);
            let area = if mean > 0.0 { mean * seconds } else { 0.0 };
            pieces.push(Piece {
                begin: begin_ns as f64,
                seconds,
                start: segment.start,
                end: segment.end,
                before,
                area,
            });
            before += area;
            begin_ns = begin_ns.saturating_add(segment.duration_ns.unwrap_or(0));
            end_ns = segment.duration_ns.map(|_| begin_ns);
        }
        Profile { pieces, end_ns }
    }

    /// Profile time of the end of the last segment; None for an endless profile.
    #[must_use]
    pub fn end_ns(&self) -> Option<u64> {
        self.end_ns
    }

    /// The highest level.
    #[must_use]
    pub fn peak(&self) -> f64 {
        self.pieces.iter().fold(0.0, |peak, piece| peak.max(piece.start).max(piece.end))
    }

    /// The profile time (ns) at which the integral of the rate reaches `arrivals`; None if it never does.
    #[must_use]
    pub fn inverse(&self, arrivals: f64) -> Option<u64> {
        // At an exact joint the later segment is used, unless it has no area, so that the next arrival is never early.
        let piece = self.pieces.iter().find(|piece| arrivals < piece.before + piece.area)?;
        let rest = arrivals - piece.before;
        let slope = if piece.seconds.is_finite() { (piece.end - piece.start) / piece.seconds } else { 0.0 };
        // The root of start·x + slope/2·x² = rest in the form that keeps precision for small slopes.
        let root = (piece.start * piece.start + 2.0 * slope * rest).max(0.0).sqrt();
        let denominator = piece.start + root;
        let seconds = if denominator > 0.0 { 2.0 * rest / denominator } else { 0.0 };
        let at = (piece.begin + seconds * SECOND).round() as u64;
        // The sum of areas may exceed the exact value by a rounding error.
        if self.end_ns.is_some_and(|end| at >= end) { None } else { Some(at) }
    }

    /// The level at profile time `at`; 0 after the end.
    #[must_use]
    pub fn level(&self, at: u64) -> f64 {
        if self.end_ns.is_some_and(|end| at >= end) { 0.0 } else { self.held_level(at) }
    }

    /// The level at profile time `at`; the last level after the end.
    #[must_use]
    pub fn held_level(&self, at: u64) -> f64 {
        let at = at as f64;
        let piece = self.pieces.iter().rev().find(|piece| piece.begin <= at).unwrap_or(&self.pieces[0]);
        piece.level(((at - piece.begin) / SECOND).min(piece.seconds))
    }

    /// The integral of the rate from 0 to profile time `at`.
    #[must_use]
    pub fn integral(&self, at: u64) -> f64 {
        let at = at as f64;
        let Some(piece) = self.pieces.iter().rev().find(|piece| piece.begin <= at) else { return 0.0 };
        let seconds = ((at - piece.begin) / SECOND).min(piece.seconds);
        piece.before + seconds * f64::midpoint(piece.start, piece.level(seconds))
    }

    /// Number of users at profile time `at`.
    #[must_use]
    pub fn users(&self, at: u64) -> usize {
        users_of(self.level(at))
    }

    /// The first profile time from `from` on with more than `users` users; None if there is none.
    #[must_use]
    pub fn next_rise(&self, users: usize, from: u64) -> Option<u64> {
        let wanted = users + 1;
        if self.users(from) >= wanted {
            return Some(from);
        }
        for piece in &self.pieces {
            let end = piece.begin + piece.seconds * SECOND;
            if end <= from as f64 {
                continue;
            }
            let begin = piece.begin.max(from as f64);
            if users_of(piece.level((begin - piece.begin) / SECOND)) >= wanted {
                return Some(begin.round() as u64);
            }
            if piece.end > piece.start && users_of(piece.end) >= wanted {
                // The first user exists as soon as the level leaves 0, each further one at its half.
                let level = if wanted == 1 { f64::MIN_POSITIVE } else { wanted as f64 - 0.5 };
                let share = (level - piece.start) / (piece.end - piece.start);
                let at = piece.begin + share.clamp(0.0, 1.0) * piece.seconds * SECOND;
                // One nanosecond later the level is reached despite rounding.
                return Some((at.ceil() as u64 + 1).max(from));
            }
        }
        None
    }
}

impl Piece {
    fn level(&self, seconds: f64) -> f64 {
        if self.seconds.is_finite() {
            self.start + (self.end - self.start) * (seconds / self.seconds)
        } else {
            self.start
        }
    }
}

/// Converts a level to a whole number of users: rounded half up, at least one for any level above 0.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // levels are within 0 to 1,000,000
pub fn users_of(level: f64) -> usize {
    if level > 0.0 { ((level + 0.5).floor() as usize).max(1) } else { 0 }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // times of tests are short and positive
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn segment(start: f64, end: f64, seconds: f64) -> Segment {
        Segment { start, end, duration_ns: Some((seconds * SECOND) as u64) }
    }

    #[test]
    fn a_constant_rate_is_evenly_spaced_for_ever() {
        let profile = Profile::new(&[Segment { start: 1000.0, end: 1000.0, duration_ns: None }]);
        assert_eq!(profile.end_ns(), None);
        for arrival in [0_u32, 1, 2, 999, 1_000_000] {
            assert_eq!(profile.inverse(f64::from(arrival)), Some(u64::from(arrival) * 1_000_000));
        }
    }

    #[test]
    fn a_ramp_from_nothing_follows_the_square_root() {
        let profile = Profile::new(&[segment(0.0, 100.0, 10.0)]);
        assert_eq!(profile.inverse(0.0), Some(0));
        assert_eq!(profile.inverse(5.0), Some(1_000_000_000));
        assert_eq!(profile.inverse(20.0), Some(2_000_000_000));
        assert_eq!(profile.inverse(500.0), None);
        assert_eq!(profile.end_ns(), Some(10_000_000_000));
    }

    #[test]
    fn a_pause_in_the_profile_has_no_arrivals() {
        let profile = Profile::new(&[segment(10.0, 10.0, 1.0), segment(0.0, 0.0, 5.0), segment(10.0, 10.0, 1.0)]);
        assert_eq!(profile.inverse(9.0), Some(900_000_000));
        assert_eq!(profile.inverse(10.0), Some(6_000_000_000));
    }

    #[test]
    fn users_come_at_their_half_and_the_first_at_once() {
        let profile = Profile::new(&[segment(0.0, 10.0, 10.0), segment(10.0, 0.0, 10.0)]);
        assert_eq!(profile.users(0), 0);
        assert!(profile.next_rise(0, 0).unwrap() < 10);
        let third = profile.next_rise(2, 0).unwrap();
        assert!(third.abs_diff(2_500_000_000) < 10);
        assert_eq!(profile.users(third), 3);
        assert_eq!(profile.next_rise(3, 18_000_000_000), None);
    }

    fn profiles() -> impl Strategy<Value = Vec<Segment>> {
        prop::collection::vec((0.0..5000.0_f64, 0.0..5000.0_f64, 0.001..100.0_f64), 1..6)
            .prop_map(|parts| parts.into_iter().map(|(start, end, seconds)| segment(start, end, seconds)).collect())
    }

    #[derive(serde::Deserialize)]
    struct Cases {
        tolerance_ns: u64,
        profiles: Vec<Case>,
    }

    #[derive(serde::Deserialize)]
    struct Case {
        name: String,
        segments: Vec<Segment>,
        end_ns: Option<u64>,
        levels: Vec<(u64, f64)>,
        integrals: Vec<(u64, f64)>,
        inverses: Vec<(f64, Option<u64>)>,
        users: Vec<(u64, usize)>,
    }

    /// The tests of `atm.plan.pacer` and of the dashboard read the same file.
    #[test]
    fn profiles_are_what_they_are_in_every_language() {
        let cases: Cases = serde_json::from_str(include_str!("../../../../tests/vectors/pacing.json")).unwrap();
        assert!(cases.profiles.len() > 8);
        let is_near = |found: f64, expected: f64| (found - expected).abs() <= 1e-9 + expected.abs() * 1e-12;
        for Case { name, segments, end_ns, levels, integrals, inverses, users } in cases.profiles {
            let profile = Profile::new(&segments);
            assert_eq!(profile.end_ns(), end_ns, "{name}");
            for (at, level) in levels {
                assert!(is_near(profile.level(at), level), "{name}: level {level} at {at}: {}", profile.level(at));
            }
            for (at, integral) in integrals {
                assert!(
                    is_near(profile.integral(at), integral),
                    "{name}: {integral} to {at}: {}",
                    profile.integral(at)
                );
            }
            for (arrivals, at) in inverses {
                let found = profile.inverse(arrivals);
                let is_right = match (found, at) {
                    (Some(found), Some(at)) => found.abs_diff(at) <= cases.tolerance_ns,
                    (found, at) => found == at,
                };
                assert!(is_right, "{name}: {arrivals} at {at:?}: {found:?}");
            }
            for (at, count) in users {
                assert_eq!(profile.users(at), count, "{name}: users at {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn inverse_undoes_the_integral(segments in profiles(), share in 0.0..0.999_f64) {
            let profile = Profile::new(&segments);
            let whole = profile.integral(profile.end_ns().unwrap());
            let arrivals = whole * share;
            let at = profile.inverse(arrivals).unwrap();
            // Within half a nanosecond at the highest rate, plus the rounding of sums.
            prop_assert!((profile.integral(at) - arrivals).abs() < 1e-5 + whole * 1e-9);
        }

        #[test]
        fn intended_starts_never_go_back(segments in profiles()) {
            let profile = Profile::new(&segments);
            let mut last = 0;
            for arrival in 0..200 {
                let Some(at) = profile.inverse(f64::from(arrival) * 3.0) else { break };
                prop_assert!(at >= last);
                last = at;
            }
        }

        #[test]
        fn a_rise_is_a_rise_and_the_first_one(segments in profiles(), users in 0_usize..5000, from in 0_u64..50_000_000_000) {
            let profile = Profile::new(&segments);
            let end = profile.end_ns().unwrap();
            if let Some(at) = profile.next_rise(users, from) {
                prop_assert!(at >= from);
                prop_assert!(profile.users(at) > users || at >= end);
            } else {
                for step in 0..100 {
                    let at = from + (end.saturating_sub(from)) / 100 * step;
                    prop_assert!(at >= end || profile.users(at) <= users);
                }
            }
        }
    }
}
