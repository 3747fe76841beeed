//! Runs the programs of journeys: from one request or think time to the next.

use super::journey::Op;
use super::preparation::RETRY;
use super::{State, Users};
use crate::clock;
use crate::outcome::Outcome;
use crate::plan::program::{Distribution, OnFail};
use crate::random;
use crate::schedule::Arrival;
use crate::template::Values;

/// Operations to run before the loop checks its sockets again.
const OPS_PER_TURN: usize = 1_000;

/// How the iteration of a user continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// With a request that is due, or a think time, see the user's state.
    Under,
    /// The program came to its end.
    Completed,
    /// A step ended it: `EndIteration`, `StopUser` or `StopRun`.
    Failed(OnFail),
}

impl Users {
    /// Starts an iteration of `flow`.
    pub(crate) fn begin_journey(&mut self, user: u32, arrival: Arrival, flow: usize, now: u64) -> Next {
        let index = user as usize;
        if self.sessions.len() <= index {
            self.sessions.resize_with(index + 1, Default::default);
        }
        let journeys = &self.journeys;
        // There are at most 100,000 flows.
        let number = u32::try_from(flow).unwrap_or(0);
        let session = self.sessions[index].select(number, |flow| journeys[flow as usize].keeps_session);
        session.begin(&journeys[flow]);
        self.all[index].begin_journey(arrival, number);
        self.running += 1;
        self.advance(user, now)
    }

    /// Runs the program of `user` at `now`, up to its next request or think time.
    pub(crate) fn advance(&mut self, user: u32, now: u64) -> Next {
        for _ in 0..OPS_PER_TURN {
            let state = &mut self.all[user as usize];
            let journey = &self.journeys[state.iteration.flow as usize];
            let session = self.sessions[user as usize].current_mut();
            let (seed, iteration) = (self.seed, state.iteration.arrival.number);
            let Some(op) = journey.ops.get(session.at) else { return Next::Completed };
            let here = session.at;
            session.at += 1;
            match op {
                Op::Request { step, .. } => {
                    session.requested = here;
                    session.visited[(step - journey.first_step) as usize] = true;
                    state.request.step = *step;
                    state.state = State::NextStep;
                    return Next::Under;
                }
                Op::Think { distribution, first_ns, second_ns, place } => {
                    let bits = random::draw_at(seed, iteration, *place, session.round);
                    let more_bits = match distribution {
                        Distribution::Normal => random::draw_at(seed, iteration, place + 1, session.round),
                        _ => 0,
                    };
                    let time = random::think_ns(*distribution, *first_ns, *second_ns, bits, more_bits);
                    session.thought += time;
                    state.request.intended += time;
                    if state.request.intended > now {
                        self.thinking += 1;
                        state.state = State::Think;
                        return Next::Under;
                    }
                }
                Op::Jump { to } => session.at = *to,
                Op::Unless { condition, to } => {
                    let values = Values { seed, number: iteration, wall_ns: clock::wall_ns() };
                    let scope = self.knowledge(user, values);
                    if !condition.as_ref().is_some_and(|condition| condition.holds(None, &scope)) {
                        let to = *to;
                        self.sessions[user as usize].current_mut().at = to;
                    }
                }
                Op::Loop { counter, times, to } => {
                    let count = &mut session.counters[*counter];
                    *count += 1;
                    if *count < *times {
                        session.at = *to;
                        session.round += 1;
                    } else {
                        *count = 0;
                    }
                }
                Op::Choose { weights, to, place } => {
                    let bits = random::draw_at(seed, iteration, *place, session.round);
                    session.at = to[random::weighted_index(bits, weights)];
                }
            }
        }
        // A long loop without a request continues in the next turn.
        self.thinking += 1;
        self.all[user as usize].state = State::Think;
        Next::Under
    }

    /// Continues the iteration of `user`, whose think time is over.
    pub(crate) fn end_thinking(&mut self, user: u32, now: u64) -> Next {
        self.thinking -= 1;
        self.advance(user, now)
    }

    /// Starts the request of the next step of `user`, and returns the step.
    pub(crate) fn begin_step(&mut self, user: u32, now: u64) -> u32 {
        let state = &mut self.all[user as usize];
        let step = state.request.step;
        state.begin_request(step, state.request.intended, now);
        self.deadlines.add(user, self.timeouts[step as usize], now);
        step
    }

    /// Ends the request of `user` at `now`, and continues its iteration. `lacks_value`: its response did not have a
    /// value to extract.
    pub(crate) fn finish_step(&mut self, user: u32, outcome: Outcome, lacks_value: bool, now: u64) -> Next {
        self.deadlines.remove(user);
        self.last_finish = now;
        let state = &mut self.all[user as usize];
        state.request.intended = now;
        let journey = &self.journeys[state.iteration.flow as usize];
        let session = self.sessions[user as usize].current();
        let Some(Op::Request { on_error, on_fail, .. }) = journey.ops.get(session.requested) else {
            return Next::Completed;
        };
        let rule = match outcome {
            _ if lacks_value || !outcome.is_full_response() => *on_error,
            Outcome::Ok => OnFail::Continue,
            _ => *on_fail,
        };
        if rule == OnFail::Continue { self.advance(user, now) } else { Next::Failed(rule) }
    }

    /// Queues `user` to continue in the next turn of the loop.
    pub(crate) fn queue(&mut self, user: u32) {
        self.freed.push_back(user);
    }

    /// Ends the iteration of `user`, who continues in `state`, in the closed model with the pace of its flow.
    pub(crate) fn end_journey(&mut self, user: u32, state: State, now: u64) {
        let ended = &mut self.all[user as usize];
        ended.state = state;
        let due = ended.iteration.arrival.intended + self.journeys[ended.iteration.flow as usize].pace_ns;
        if state == State::Idle && self.pauses && due > now {
            ended.state = State::Pace;
            ended.request.intended = due;
        } else if state == State::Unprepared {
            ended.request.intended = now + RETRY;
        }
        self.last_finish = now;
        self.running -= 1;
        self.queue(user);
    }

    /// Think time drawn so far in the iteration of `user`.
    pub(crate) fn thought(&self, user: u32) -> u64 {
        self.sessions[user as usize].current().thought
    }

    /// The endpoints of the steps that the iteration of `user` has not reached.
    pub(crate) fn not_reached(&self, user: u32) -> impl Iterator<Item = usize> {
        let session = self.sessions[user as usize].current();
        let first = self.journeys[session.flow as usize].first_step as usize;
        let steps = session.visited.iter().zip(&self.rules[first..]);
        steps.filter(|(visited, _)| !**visited).map(|(_, rules)| rules.endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, request};
    use crate::plan::Plan;
    use crate::schedule::Shard;
    use serde_json::{Value, json};

    fn alone(plan: &Plan) -> Users {
        Users::new(plan, Shard::all(plan, 0), 1)
    }

    fn arrival(number: u64) -> Arrival {
        Arrival { number, intended: 5, warm_up: false }
    }

    /// A plan whose flow has three steps and this program.
    fn program(ops: &Value, change: impl FnOnce(&mut Value)) -> Plan {
        fixtures::plan(|document| {
            fixtures::three_steps(document);
            document["flows"][0]["program"] = ops.clone();
            change(document);
        })
    }

    fn think(ns: u64) -> Value {
        json!({"op": "think", "distribution": "fixed", "first_ns": ns, "second_ns": 0, "place": 0})
    }

    /// The steps of the first iteration of a new user, each answered at once, and how it ended.
    fn steps_of(users: &mut Users, number: u64) -> (Vec<u32>, Next) {
        let user = users.take_free().unwrap();
        let mut next = users.begin_journey(user, arrival(number), 0, 10);
        let mut steps = Vec::new();
        while next == Next::Under {
            assert_eq!(users.user(user).state, State::NextStep);
            steps.push(users.begin_step(user, 10));
            next = users.finish_step(user, Outcome::Ok, false, 10);
        }
        users.end_journey(user, State::Idle, 10);
        users.set_free(user);
        (steps, next)
    }

    #[test]
    fn without_a_program_the_steps_run_in_order_and_each_begins_where_the_one_before_ended() {
        let mut users = alone(&fixtures::plan(fixtures::three_steps));
        let user = users.take_free().unwrap();
        assert_eq!(users.begin_journey(user, arrival(1), 0, 10), Next::Under);
        assert_eq!(users.begin_step(user, 10), 0);
        for (end, step) in [(20, 1), (30, 2)] {
            assert_eq!(users.finish_step(user, Outcome::UnexpectedStatus, false, end), Next::Under);
            assert_eq!((users.in_flight(), users.next_deadline()), (1, u64::MAX));
            assert_eq!((users.user(user).state, users.begin_step(user, end + 2)), (State::NextStep, step));
            let (state, rules) = users.with_rules(user);
            assert_eq!((state.request.intended, state.request.actual, rules.endpoint), (end, end + 2, step as usize));
            assert_eq!(users.next_deadline(), end + 2 + 1000);
        }
        assert_eq!(users.finish_step(user, Outcome::Ok, false, 40), Next::Completed);
        users.end_journey(user, State::Idle, 40);
        assert_eq!((users.in_flight(), users.last_finish(), users.next_freed()), (0, 40, Some(user)));
    }

    #[test]
    fn without_a_program_a_step_without_a_response_ends_its_iteration() {
        let mut users = alone(&fixtures::plan(fixtures::three_steps));
        let user = users.take_free().unwrap();
        users.begin_journey(user, arrival(1), 0, 10);
        users.begin_step(user, 10);
        assert_eq!(users.finish_step(user, Outcome::Timeout, false, 20), Next::Failed(OnFail::EndIteration));
        assert_eq!(users.not_reached(user).collect::<Vec<usize>>(), [1, 2]);
    }

    #[test]
    fn a_rule_of_a_request_decides_after_an_error_a_failure_and_a_missing_value() {
        let ops = json!([{"op": "request", "step": 0, "on_error": "stop_user", "on_fail": "stop_run"}, request(1)]);
        for (outcome, lacks_value, expected) in [
            (Outcome::Ok, false, Next::Under),
            (Outcome::CheckFailed, false, Next::Failed(OnFail::StopRun)),
            (Outcome::CheckFailed, true, Next::Failed(OnFail::StopUser)),
            (Outcome::ConnectionClosed, false, Next::Failed(OnFail::StopUser)),
        ] {
            let mut users = alone(&program(&ops, |_| {}));
            let user = users.take_free().unwrap();
            users.begin_journey(user, arrival(1), 0, 10);
            users.begin_step(user, 10);
            assert_eq!(users.finish_step(user, outcome, lacks_value, 20), expected, "{outcome:?}");
        }
    }

    #[test]
    fn loops_repeat_and_jumps_skip() {
        let ops = json!([
            request(0),
            {"op": "jump", "to": 3},
            request(2),
            request(1),
            {"op": "loop", "counter": 0, "times": 2, "to": 3},
            {"op": "loop", "counter": 1, "times": 2, "to": 0},
        ]);
        let mut users = alone(&program(&ops, |document| document["flows"][0]["counters"] = 2.into()));
        for number in 1..=2 {
            assert_eq!(steps_of(&mut users, number), (vec![0, 1, 1, 0, 1, 1], Next::Completed));
        }
        assert_eq!(users.not_reached(0).collect::<Vec<usize>>(), [2]);
    }

    #[test]
    fn branches_are_chosen_by_weight_and_the_same_by_every_user() {
        let ops = json!([
            {"op": "choose", "weights": [3, 1], "to": [1, 3], "place": 7},
            request(0), {"op": "jump", "to": 4},
            request(1),
        ]);
        let plan = program(&ops, |_| {});
        let chosen = |mut users: Users| (1..=1000).map(|number| steps_of(&mut users, number).0).collect::<Vec<_>>();
        let all = chosen(alone(&plan));
        let count = |step: u32| all.iter().filter(|steps| **steps == [step]).count();
        assert_eq!(count(0) + count(1), 1000);
        assert!((700..800).contains(&count(0)), "{}", count(0));
        assert_eq!(chosen(alone(&plan)), all);
    }

    #[test]
    fn a_think_time_delays_the_intended_start_and_counts_at_the_end() {
        let plan = program(&json!([think(100), request(0), think(30), think(70)]), |_| {});
        let mut users = alone(&plan);
        let user = users.take_free().unwrap();
        assert_eq!(users.begin_journey(user, arrival(1), 0, 10), Next::Under);
        assert_eq!((users.user(user).state, users.user(user).request.intended), (State::Think, 105));
        assert_eq!((users.in_flight(), users.requests_in_flight()), (1, 0));
        assert_eq!(users.end_thinking(user, 107), Next::Under);
        assert_eq!((users.begin_step(user, 108), users.requests_in_flight()), (0, 1));
        assert_eq!((users.user(user).request.intended, users.user(user).request.actual), (105, 108));
        assert_eq!(users.finish_step(user, Outcome::Ok, false, 200), Next::Under);
        // Woken after the end of the second think time as well, the user does not wait again.
        assert_eq!(users.end_thinking(user, 300), Next::Completed);
        assert_eq!(users.thought(user), 200);
    }

    #[test]
    fn a_long_loop_without_a_request_lets_the_thread_continue() {
        let ops = json!([think(0), {"op": "loop", "counter": 0, "times": 25_000, "to": 0}, request(0)]);
        let mut users = alone(&program(&ops, |document| document["flows"][0]["counters"] = 1.into()));
        let user = users.take_free().unwrap();
        assert_eq!(users.begin_journey(user, arrival(1), 0, 10), Next::Under);
        let mut turns = 0;
        while users.user(user).state == State::Think {
            assert_eq!(users.user(user).request.intended, 5);
            assert_eq!(users.end_thinking(user, 10), Next::Under);
            turns += 1;
        }
        assert_eq!((turns, users.user(user).state), (50, State::NextStep));
    }

    #[test]
    fn a_paced_user_is_due_again_by_its_pace() {
        for (end, expected) in [(20, (State::Pace, 105)), (200, (State::Idle, 5))] {
            let plan = program(&json!([request(0)]), |document| document["flows"][0]["pace_ns"] = 100.into());
            let mut users = alone(&plan);
            let user = users.take_free().unwrap();
            users.begin_journey(user, arrival(1), 0, 10);
            users.end_journey(user, State::Idle, end);
            assert_eq!((users.user(user).state, users.user(user).request.intended), expected);
        }
    }

    #[test]
    fn the_end_of_sending_lets_iterations_go_on_and_abandoning_ends_them() {
        let mut users = alone(&program(&json!([request(0), think(50), request(1)]), |_| {}));
        users.raise(4);
        let all: Vec<u32> = std::iter::from_fn(|| users.next_freed()).collect();
        assert_eq!(all, [0, 1, 2, 3]);
        for user in all {
            users.begin_journey(user, arrival(1), 0, 10);
            users.begin_step(user, 10);
        }
        for (user, outcome) in [(0, Outcome::Ok), (1, Outcome::Timeout), (3, Outcome::Ok)] {
            match users.finish_step(user, outcome, false, 20) {
                Next::Under => users.queue(user),
                _ => users.end_journey(user, State::Idle, 20),
            }
        }
        assert_eq!(users.next_freed(), Some(0));
        users.end_thinking(0, 100);
        users.queue(0);
        users.end_sending();
        assert_eq!((users.freed(), users.in_flight(), users.requests_in_flight()), (2, 3, 2));
        assert_eq!(users.abandon(150), [(0, false), (2, true), (3, false)]);
        assert_eq!((users.freed(), users.in_flight(), users.requests_in_flight()), (0, 0, 0));
        assert_eq!((users.next_deadline(), users.last_finish()), (u64::MAX, 150));
    }
}
