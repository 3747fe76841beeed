//! What a user adds to its requests, and keeps of its responses: variables and cookies.

use std::sync::Arc;

use super::Users;
use super::session::Sessions;
use super::trace;
use crate::clock;
use crate::data::{Data, Numbers};
use crate::plan::{Origin, Part, Plan, Source, Step};
use crate::scenario::{Answer, Knowledge, Place, Scope, Value, render};
use crate::template::{Cookies, Form, Program, Secrets, Values};
use crate::transport::Raw;

impl Users {
    /// Uses these secrets from now on.
    pub(crate) fn set_secrets(&mut self, secrets: &Secrets) {
        self.secrets.clone_from(secrets);
    }

    /// Reads test data from here.
    pub(crate) fn set_data(&mut self, data: &Arc<Data>) {
        self.data = Arc::clone(data);
    }

    /// Calls `count` with each table and row that the iteration of `user` begins with, and whether the row was used
    /// before.
    pub(crate) fn begin_rows(&self, user: u32, count: impl FnMut(usize, u64, bool)) {
        if self.data.is_empty() {
            return;
        }
        let iteration = &self.all[user as usize].iteration;
        let number = iteration.arrival.number;
        let of = Numbers { user: self.number_of(user), iteration: number, is_lasting: self.are_lasting };
        self.data.begin(self.seed, iteration.flow as usize, of, count);
    }

    /// What `user` knows.
    pub(crate) fn knowledge(&self, user: u32, values: Values) -> Knowledge<'_> {
        let session = self.sessions.get(user as usize).map(Sessions::current);
        Knowledge {
            slots: session.map_or(&[], |session| &session.slots),
            user: self.number_of(user),
            round: session.map_or(0, |session| session.round),
            values,
            data: &self.data,
            secrets: &self.secrets,
        }
    }

    /// The 1-based number of a user in its lane, over all shares and threads; where each iteration is a new user, of the
    /// iteration.
    pub(crate) fn number_of(&self, user: u32) -> u64 {
        if self.are_lasting { self.shard.user_number(user) } else { self.all[user as usize].iteration.arrival.number }
    }

    /// Appends a request of `user` to `origin`; without one, its cookies are left out.
    pub(crate) fn render(
        &self,
        user: u32,
        program: &Program,
        values: Values,
        origin: Option<&Origin>,
        out: &mut Vec<u8>,
    ) {
        let cookies = origin.and_then(|origin| self.cookies(user, origin));
        program.render_for(values, &self.knowledge(user, values), cookies, None, out);
    }

    /// The cookies of `user`; None if its flow does not use any.
    pub(crate) fn cookies<'a>(&'a self, user: u32, origin: &'a Origin) -> Option<Cookies<'a>> {
        let flow = self.all[user as usize].iteration.flow as usize;
        if !self.journeys.get(flow)?.uses_cookies {
            return None;
        }
        let jar = &self.sessions[user as usize].current().jar;
        Some(Cookies { jar, origin, now: seconds_since_1970() })
    }

    /// Stores the cookies of a response to `user`.
    pub(crate) fn store_cookies(&mut self, user: u32, raw: Raw<'_>, place: &Place<'_>) {
        let now = seconds_since_1970();
        let jar = &mut self.sessions[user as usize].current_mut().jar;
        for line in Answer::of_bytes(0, 0, 0, raw.head()).headers("set-cookie") {
            jar.store(&line, place, now);
        }
    }

    /// Puts values into the variables of `user`.
    pub(crate) fn store_values(&mut self, user: u32, values: impl Iterator<Item = (usize, Value)>) {
        let sessions = &mut self.sessions[user as usize];
        for (slot, value) in values {
            trace::change(sessions, slot, value);
        }
    }

    /// The request of `user` with *** for secrets, and the real length of its body; `has_cookies`: with its cookies.
    pub(crate) fn masked_request(
        &self,
        user: u32,
        plan: &Plan,
        step: &Step,
        values: Values,
        has_cookies: bool,
    ) -> Vec<u8> {
        let scope = self.knowledge(user, values);
        let origin = &plan.origins[step.origin];
        let cookies = self.cookies(user, origin).filter(|_| has_cookies);
        let length = Program::of_body(step, &self.secrets).map(|body| {
            let mut real = Vec::new();
            body.render_for(values, &scope, None, None, &mut real);
            real.len()
        });
        let form = Form { masked: true, uses_cookies: cookies.is_some(), proxy: None };
        let mut request = Vec::new();
        Program::new(step, &self.secrets, form).render_for(values, &scope, cookies, length, &mut request);
        request
    }

    /// The secret values that a request of `user`, or the response to it, may hold, as text.
    pub(crate) fn secret_values(&self, user: u32, step: &Step, values: Values) -> Vec<String> {
        let scope = self.knowledge(user, values);
        let mut found = Vec::new();
        let headers = step.headers.iter().flat_map(|header| &header.value);
        for part in step.target.iter().chain(headers).chain(step.body.iter().flatten()) {
            let Part::Value { source, is_secret: true, .. } = part else { continue };
            found.extend(render::value(part, &scope).map(|value| value.text().into_owned()));
            if let Source::Slot { slot } = source {
                found.extend(scope.slot(*slot).seen().map(|value| value.text().into_owned()));
            }
        }
        let flow = self.all[user as usize].iteration.flow as usize;
        for slot in self.journeys.get(flow).map_or(&[][..], |journey| &journey.secret_slots) {
            found.extend(scope.slot(*slot).seen().map(|value| value.text().into_owned()));
        }
        found
    }

    /// True if a slot of the flow of `user` is secret.
    pub(crate) fn is_secret_slot(&self, user: u32, slot: usize) -> bool {
        let flow = self.all[user as usize].iteration.flow as usize;
        self.journeys[flow].secret_slots.contains(&slot)
    }
}

fn seconds_since_1970() -> i64 {
    // Below 2^63 for the next 290 years.
    (clock::wall_ns() / 1_000_000_000).cast_signed()
}
