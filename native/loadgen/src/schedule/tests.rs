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
fn even_arrivals_close_together_start_in_pairs_and_the_second_is_due_with_the_first() {
    let with = |key: &str, value: Value| {
        schedule(|document| {
            open(document);
            document["lanes"][0]["load"][key] = value;
        })
    };
    let at_rate = |rate: f64| with("segments", json!([{"start": rate, "end": rate, "duration_ns": null}]));
    let mut close = at_rate(20_000.0);
    let first = close.take_before(1).unwrap();
    let second = close.take_second(first, 300).unwrap();
    assert_eq!((second.number, second.intended, close.next_due()), (2, 300, 100_000));
    let mut late = at_rate(20_000.0);
    let first = late.take_before(300_000).unwrap();
    assert_eq!(late.take_second(first, 300_000).map(|second| second.intended), Some(50_000));
    let measured_next = schedule(|document| {
        open(document);
        document["lanes"][0]["load"]["warm_up_ns"] = 1000.into();
        document["lanes"][0]["load"]["warm_up_level"] = 1e6.into();
    });
    for mut apart in [at_rate(19_999.0), with("arrival", "poisson".into()), measured_next] {
        let first = apart.take_before(300_000).unwrap();
        assert_eq!(apart.take_second(first, 300_000), None);
    }
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
    assert_eq!((schedule.end_of_sending(), schedule.next_action(0, 4_000_000_000)), (4_000_000_000, NextAction::Park));
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
