//! What a user does once, before its first iteration.

use std::cmp::Reverse;

use super::session::Sessions;
use super::{Next, State, Users};
use crate::data::Numbers;
use crate::schedule::Arrival;

/// How long after a failed attempt, or the end of its session, a user begins again.
pub(super) const RETRY: u64 = 1_000_000_000;

impl Users {
    /// Starts what comes before the first iteration of `user`, who is unprepared.
    pub(crate) fn begin_preparation(&mut self, user: u32, now: u64, warm_up: bool) -> Next {
        let index = user as usize;
        if self.sessions.len() <= index {
            self.sessions.resize_with(index + 1, Sessions::default);
        }
        // Only users of such a flow are unprepared.
        let flow = self.to_prepare.unwrap_or(0);
        self.sessions[index].select(flow, |_| true).begin_preparation(&self.journeys[flow as usize]);
        let arrival = Arrival { number: self.number_of(user), intended: now, warm_up };
        self.all[index].begin_journey(arrival, flow);
        self.running += 1;
        self.advance(user, now)
    }

    /// Calls `count` with each table per user and row that `user` begins with, and whether the row was used before.
    pub(crate) fn begin_rows_of_user(&self, user: u32, count: impl FnMut(usize, u64, bool)) {
        let flow = self.all[user as usize].iteration.flow as usize;
        let number = self.number_of(user);
        self.data.begin_user(self.seed, flow, Numbers { user: number, iteration: number, is_lasting: true }, count);
    }

    /// True if users are prepared in the background, and again after their session has ended.
    pub(crate) fn prepare_again(&self) -> bool {
        self.to_prepare.is_some() && !self.pauses
    }

    /// True if `user` does what comes before its first iteration.
    pub(crate) fn is_preparing(&self, user: u32) -> bool {
        self.to_prepare.is_some() && self.sessions[user as usize].current().is_preparing
    }

    /// Ends what `user` did before its first iteration: `Idle` if it may start that, `Unprepared` if it begins again.
    pub(crate) fn end_preparation(&mut self, user: u32, state: State, now: u64) {
        self.all[user as usize].state = state;
        self.all[user as usize].request.intended = now + RETRY;
        self.last_finish = now;
        self.running -= 1;
        self.queue(user);
    }

    /// Stops running a user who is unprepared.
    pub(crate) fn park_unprepared(&mut self, user: u32) {
        self.all[user as usize].state = State::Unprepared;
        self.parked.push(Reverse(user));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, request};
    use crate::outcome::Outcome;
    use crate::plan::program::OnFail;
    use crate::schedule::Shard;
    use serde_json::json;

    /// Users whose iterations send step 0, after steps 1 and 2, in another order, before the first one.
    fn users() -> Users {
        let plan = fixtures::plan(|document| {
            fixtures::three_steps(document);
            let flow = &mut document["flows"][0];
            flow["program"] = json!([request(0), {"op": "jump", "to": 2}]);
            flow["before_user"] = json!([{"op": "jump", "to": 1}, request(2), request(1)]);
            flow["keeps_session"] = true.into();
        });
        let mut users = Users::new(&plan, Shard::new(&plan, 0, 1, 2), 2);
        users.raise(2);
        users
    }

    fn unprepared(users: &mut Users) -> u32 {
        let user = users.next_freed().unwrap();
        assert_eq!(users.user(user).state, State::Unprepared);
        user
    }

    #[test]
    fn a_user_prepares_under_its_own_number_and_then_iterates() {
        let mut users = users();
        unprepared(&mut users);
        let user = unprepared(&mut users);
        let mut next = users.begin_preparation(user, 7, true);
        for step in [2, 1] {
            assert_eq!((next, users.begin_step(user, 8), users.is_preparing(user)), (Next::Under, step, true));
            next = users.finish_step(user, Outcome::Ok, false, 9);
        }
        assert_eq!((next, users.in_flight()), (Next::Completed, 1));
        assert_eq!(users.user(user).iteration.arrival, Arrival { number: 4, intended: 7, warm_up: true });
        assert_eq!(users.not_reached(user).count(), 0);
        users.end_preparation(user, State::Idle, 9);
        assert_eq!((users.in_flight(), users.user(user).state, users.next_freed()), (0, State::Idle, Some(user)));
        let arrival = Arrival { number: 1, intended: 9, warm_up: false };
        assert_eq!(users.begin_journey(user, arrival, 0, 9), Next::Under);
        assert_eq!((users.begin_step(user, 9), users.is_preparing(user)), (0, false));
        assert_eq!(users.finish_step(user, Outcome::Ok, false, 10), Next::Completed);
        assert_eq!(users.not_reached(user).count(), 0);
    }

    #[test]
    fn a_user_that_failed_begins_again_a_second_later() {
        let mut users = users();
        let user = unprepared(&mut users);
        users.begin_preparation(user, 7, false);
        users.begin_step(user, 8);
        assert_eq!(users.finish_step(user, Outcome::Timeout, false, 9), Next::Failed(OnFail::EndIteration));
        assert_eq!(users.not_reached(user).collect::<Vec<usize>>(), [1]);
        users.end_preparation(user, State::Unprepared, 9);
        assert_eq!((users.user(user).state, users.user(user).request.intended), (State::Unprepared, 9 + RETRY));
        users.park_unprepared(user);
        while users.next_freed().is_some() {}
        users.raise(2);
        assert_eq!(unprepared(&mut users), user);
    }

    #[test]
    fn prepared_users_of_an_open_load_are_taken_in_turn_and_keep_their_numbers() {
        let plan = fixtures::plan(|document| {
            fixtures::three_steps(document);
            let flow = &mut document["flows"][0];
            flow["program"] = json!([request(0), {"op": "jump", "to": 2}]);
            flow["before_user"] = json!([request(1), {"op": "jump", "to": 2}]);
            flow["keeps_session"] = true.into();
            let lane = &mut document["lanes"][0];
            lane["load"]["model"] = "open".into();
            lane["prepared"] = json!({"users": 4, "rate": 10.0});
        });
        let mut users = Users::new(&plan, Shard::new(&plan, 0, 1, 2), 2);
        assert_eq!((users.take_free(), users.prepare_again()), (None, true));
        users.raise(2);
        for number in [2, 4] {
            let user = unprepared(&mut users);
            users.begin_preparation(user, 7, false);
            users.begin_step(user, 7);
            assert_eq!(users.user(user).iteration.arrival.number, number);
            assert_eq!(users.finish_step(user, Outcome::Ok, false, 8), Next::Completed);
            users.end_preparation(user, State::Idle, 8);
            users.set_free(user);
        }
        while users.next_freed().is_some() {}
        for number in 1..=4 {
            let user = users.take_free().unwrap();
            assert_eq!(u64::from(user), (number - 1) % 2);
            users.begin_journey(user, Arrival { number, intended: 9, warm_up: false }, 0, 9);
            users.begin_step(user, 9);
            assert_eq!(users.finish_step(user, Outcome::Ok, false, 10), Next::Completed);
            assert_eq!(users.number_of(user), 2 * u64::from(user) + 2);
            let ends_session = number == 4;
            users.end_journey(user, if ends_session { State::Unprepared } else { State::Idle }, 10);
            assert_eq!(users.next_freed(), Some(user));
            if !ends_session {
                users.set_free(user);
            }
        }
        assert_eq!((users.user(1).state, users.user(1).request.intended), (State::Unprepared, 10 + RETRY));
        assert_eq!((users.take_free(), users.take_free()), (Some(0), None));
    }
}
