//! Which arrivals, users and numbers of a lane belong to a load thread.

use crate::plan::{Plan, Share};

/// The part of a lane's load that a thread sends: the arrivals and users of the plan's share are dealt to the lane's
/// threads in turn.
#[derive(Debug, Clone)]
pub struct Shard {
    /// The lane's index, 0-based.
    pub lane: usize,
    /// The thread's index among those of the lane, 0-based.
    pub index: usize,
    /// Number of threads of the lane.
    pub of: usize,
    share: Share,
}

impl Shard {
    /// The part of thread `index` of `of` threads.
    #[must_use]
    pub fn new(plan: &Plan, lane: usize, index: usize, of: usize) -> Shard {
        Shard { lane, index, of, share: plan.share.clone() }
    }

    /// All that the plan's share has of a lane.
    #[must_use]
    pub fn all(plan: &Plan, lane: usize) -> Shard {
        Shard::new(plan, lane, 0, 1)
    }

    /// True if the thread sends the arrival with this 1-based number.
    #[inline]
    pub(super) fn has_arrival(&self, number: u64) -> bool {
        self.share.serial(number - 1).is_some_and(|serial| serial % self.of as u64 == self.index as u64)
    }

    /// Of the first `users` of all shares: how many are users of this thread.
    pub(super) fn users_of(&self, users: usize) -> usize {
        self.of_share(users).saturating_sub(self.index).div_ceil(self.of)
    }

    /// Of the first `users` of all shares: how many are users of this one.
    pub(super) fn of_share(&self, users: usize) -> usize {
        usize::try_from(self.share.count(users as u64)).unwrap_or(usize::MAX)
    }

    /// The 1-based number, over all shares and threads, of this thread's user `user`.
    #[inline]
    pub(crate) fn user_number(&self, user: u32) -> u64 {
        self.share.index(u64::from(user) * self.of as u64 + self.index as u64) + 1
    }

    /// Closed model: the 1-based number, over all shares, of the iteration that the share starts after `started` others.
    #[inline]
    pub(super) fn iteration_number(&self, started: u64) -> u64 {
        self.share.index(started) + 1
    }

    /// How many of the numbers up to `number` are the share's.
    pub(super) fn numbers_to(&self, number: u64) -> u64 {
        self.share.count(number)
    }

    /// The share's part of the whole load.
    pub(super) fn part(&self) -> f64 {
        self.share.part()
    }

    /// Arrivals due before are those of another share.
    pub(super) fn first_ns(&self) -> u64 {
        self.share.from_ns
    }

    /// True if other engines send the rest.
    pub(super) fn is_shared(&self) -> bool {
        !self.share.is_whole()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::fixtures;
    use crate::schedule::{Arrival, Next, NextAction, Schedule, Timetable};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// Deals `of` residues to some of 17 engines; each has a number of threads.
    fn shares() -> impl Strategy<Value = (Vec<Vec<u64>>, Vec<usize>)> {
        let dealt = (1_usize..=17).prop_flat_map(|of| prop::collection::vec(0..of, of));
        (dealt, prop::collection::vec(1_usize..4, 17)).prop_map(|(engines, threads)| {
            let mut shares = vec![Vec::new(); engines.len()];
            for (residue, engine) in (0..).zip(engines) {
                shares[engine].push(residue);
            }
            shares.retain(|residues| !residues.is_empty());
            (shares, threads)
        })
    }

    fn plan(change: impl Fn(&mut Value), residues: &[u64], of: usize) -> Plan {
        fixtures::plan(|document| {
            change(document);
            document["share"]["residues"] = residues.into();
            document["share"]["of"] = of.into();
        })
    }

    /// All arrivals, and how the load ends.
    fn arrivals(plan: &Plan, shard: Shard) -> (Vec<Arrival>, Next) {
        let mut timetable = Timetable::new(plan, shard);
        timetable.skip_others();
        let mut found = Vec::new();
        loop {
            match timetable.peek() {
                Next::Arrival(arrival) => found.push(arrival),
                end => return (found, end),
            }
            timetable.advance();
        }
    }

    fn of(shares: &[Vec<u64>]) -> usize {
        shares.iter().map(Vec::len).sum()
    }

    proptest! {
        #[test]
        fn together_the_shares_have_the_arrivals_of_one_engine_and_end_like_it(
            (shares, threads) in shares(),
            stages in prop::collection::vec((0_u32..400, 0_u32..400, 1_u64..900), 1..4),
            (poisson, seed) in (any::<bool>(), any::<u64>()),
            (warm_up, total, duration) in (0_u64..300, prop::option::of(1_u64..200), prop::option::of(1_u64..1500)),
            from in 0_u64..2_000_000_000,
        ) {
            let segments: Vec<Value> = stages.iter().map(|(start, end, milliseconds)| {
                json!({"start": f64::from(*start), "end": f64::from(*end), "duration_ns": milliseconds * 1_000_000})
            }).collect();
            let change = |document: &mut Value| {
                document["seed"] = seed.into();
                let lane = &mut document["lanes"][0];
                lane["total"] = total.into();
                lane["duration_ns"] = duration.map(|milliseconds| milliseconds * 1_000_000).into();
                lane["start_ns"] = 7.into();
                lane["load"]["model"] = "open".into();
                lane["load"]["segments"] = segments.clone().into();
                lane["load"]["arrival"] = if poisson { "poisson".into() } else { "even".into() };
                lane["load"]["warm_up_ns"] = (warm_up * 1_000_000).into();
                lane["load"]["warm_up_level"] = 77.0.into();
            };
            let whole = plan(change, &[0], 1);
            let (expected, end) = arrivals(&whole, Shard::all(&whole, 0));
            let offered = |plan: &Plan| Timetable::new(plan, Shard::all(plan, 0)).offered(0, 10_000_000_000);
            let mut found = Vec::new();
            let mut offered_by_shares = 0.0;
            for (residues, threads) in shares.iter().zip(&threads) {
                let share = plan(change, residues, of(&shares));
                offered_by_shares += offered(&share);
                for index in 0..*threads {
                    let (own, own_end) = arrivals(&share, Shard::new(&share, 0, index, *threads));
                    prop_assert_eq!(own_end, end);
                    prop_assert!(own.is_sorted_by_key(|arrival| arrival.number));
                    found.extend(own);
                }
            }
            found.sort_by_key(|arrival| arrival.number);
            prop_assert_eq!(&found, &expected);
            prop_assert!((offered_by_shares - offered(&whole)).abs() < 1e-6);
            let continued = plan(|document| {
                change(document);
                document["share"]["from_ns"] = from.into();
            }, &shares[0], of(&shares));
            let mut rest: Vec<Arrival> = (0..threads[0])
                .flat_map(|index| arrivals(&continued, Shard::new(&continued, 0, index, threads[0])).0)
                .collect();
            rest.sort_by_key(|arrival| arrival.number);
            found.retain(|arrival| arrival.intended >= from && shares[0].contains(&((arrival.number - 1) % of(&shares) as u64)));
            prop_assert_eq!(rest, found);
        }

        #[test]
        fn together_the_shares_have_the_users_of_one_engine(
            (shares, threads) in shares(), users in 0_usize..200, fewer in 0_usize..200,
        ) {
            let mut numbers = BTreeSet::new();
            for (residues, threads) in shares.iter().zip(&threads) {
                let share = plan(|document| {
                    let level = f64::from(u32::try_from(users.max(1)).unwrap());
                    document["lanes"][0]["load"]["segments"] =
                        json!([{"start": level, "end": 0.0, "duration_ns": 1_000_000_000_u64}]);
                }, residues, of(&shares));
                let mut own = 0;
                for index in 0..*threads {
                    let shard = Shard::new(&share, 0, index, *threads);
                    let count = shard.users_of(users);
                    own += count;
                    let of_thread: Vec<u64> = (0..u32::try_from(count).unwrap()).map(|user| shard.user_number(user)).collect();
                    // After a ramp down those with the lowest numbers are left.
                    prop_assert_eq!(shard.users_of(fewer.min(users)), of_thread.iter().filter(|number| **number <= fewer as u64).count());
                    prop_assert!(of_thread.iter().all(|number| numbers.insert(*number)));
                }
                prop_assert_eq!(Shard::all(&share, 0).of_share(users), own);
            }
            prop_assert_eq!(numbers, (1..=users as u64).collect());
        }

        #[test]
        fn shares_number_their_iterations_without_talking(
            (shares, threads) in shares(), last in 1_u64..300, starts in prop::collection::vec(0_usize..17, 0..400),
        ) {
            let mut engines: Vec<Vec<Schedule>> = shares.iter().zip(&threads).map(|(residues, threads)| {
                let share = plan(|document| {
                    document["lanes"][0]["last_number"] = last.into();
                    document["lanes"][0]["load"]["segments"] = json!([{"start": 100.0, "end": 100.0, "duration_ns": null}]);
                }, residues, of(&shares));
                let counters = Arc::default();
                let threads = (0..*threads).map(|index| {
                    let mut schedule = Schedule::new(&share, Shard::new(&share, 0, index, *threads), Arc::clone(&counters));
                    schedule.begin();
                    schedule
                });
                threads.collect()
            }).collect();
            let mut seen = BTreeSet::new();
            for engine in starts {
                let count = engines.len();
                for schedule in &mut engines[engine % count] {
                    if let Some(arrival) = schedule.take(0, 0) {
                        prop_assert!(seen.insert(arrival.number));
                        prop_assert!(arrival.number <= last);
                    }
                }
            }
            // What is left is taken, and then all numbers were.
            for schedule in engines.iter_mut().flatten() {
                while let Some(arrival) = schedule.take(0, 0) {
                    prop_assert!(seen.insert(arrival.number));
                }
                prop_assert_eq!(schedule.next_action(0, 0), NextAction::Park);
            }
            prop_assert_eq!(seen, (1..=last).collect());
        }
    }

    #[test]
    fn a_share_without_users_or_with_a_total_of_0_ends_at_once() {
        for (residues, total, is_idle) in [([0], 3, false), ([2], 3, true), ([0], 0, true)] {
            let share = plan(
                |document| {
                    document["lanes"][0]["load"]["segments"][0] =
                        json!({"start": 2.0, "end": 2.0, "duration_ns": null});
                    document["lanes"][0]["total"] = total.into();
                },
                &residues,
                3,
            );
            let mut schedule = Schedule::new(&share, Shard::all(&share, 0), Arc::default());
            schedule.begin();
            assert_eq!(schedule.ends_now(0, 0), is_idle, "{residues:?}, total {total}");
        }
    }

    #[test]
    fn barriers_cannot_be_shared() {
        let mut document = None;
        fixtures::plan(|whole| {
            fixtures::lanes(whole, 2);
            whole["lanes"].as_array_mut().unwrap().truncate(1);
            whole["lanes"][0]["flows"] = json!([0, 1]);
            whole["lanes"][0]["selection"] = "sequential".into();
            document = Some(whole.clone());
        });
        let mut document = document.unwrap();
        document["share"] = json!({"residues": [1], "of": 2});
        let refusal = Plan::from_bytes(document.to_string().as_bytes()).unwrap_err();
        assert_eq!(refusal.to_string(), "lanes[0]: sequential selection cannot be shared");
    }
}
