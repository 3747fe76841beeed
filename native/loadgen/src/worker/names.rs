//! Names that are looked up while load runs: those that redirects lead to, and all of them again where the plan asks for it.

use std::io;
use std::net::IpAddr;

use super::Worker;
use super::user::State;
use crate::deadlines::NONE;
use crate::plan::Origin;
use crate::resolver::Resolver;

/// The proxy, where an origin's index is asked for: no origin has this one.
const PROXY: u32 = NONE;

impl Worker {
    /// Where connections for `origin` are dialled: there, or at the proxy, which looks up the origin itself.
    pub(super) fn place(&self, origin: u32) -> &Origin {
        self.proxy.as_ref().unwrap_or_else(|| &self.origins[origin as usize])
    }

    /// An origin that a redirect has led to is looked up when it is met.
    pub(super) fn resolve_for(&mut self, user: u32, origin: u32) {
        let number = self.users[user as usize].number;
        let place = if self.proxy.is_some() { PROXY } else { origin };
        let is_asked = self.awaiting_names.iter().any(|(asked, ..)| *asked == place);
        self.awaiting_names.push((place, user, number));
        if !is_asked && let Err(error) = self.ask_for_name(place) {
            self.dial_failed(user, &error);
        }
    }

    fn ask_for_name(&mut self, place: u32) -> io::Result<()> {
        let resolver = match self.resolver.take() {
            Some(resolver) => resolver,
            None => Resolver::start(self.waker.clone(), self.shared.plan.connections.targets.clone())?,
        };
        let looked_up = self.place(place);
        resolver.ask(place, looked_up.dial_host(), looked_up.dial_port());
        self.resolver = Some(resolver);
        Ok(())
    }

    /// Names that have been looked up.
    pub(super) fn take_names(&mut self) {
        while let Some(answer) = self.resolver.as_ref().and_then(Resolver::answer) {
            self.second.generator.dns.record(answer.took);
            let place = self.proxy.as_mut().unwrap_or_else(|| &mut self.origins[answer.origin as usize]);
            // A name server that is away for a while is no reason to forget the addresses that there are; a name that
            // leads where nobody may dial is.
            if !answer.addresses.is_empty() || answer.is_refused || place.addresses.is_empty() {
                place.addresses = answer.addresses;
                place.resolve_error = answer.error;
            }
            let (ready, rest) = std::mem::take(&mut self.awaiting_names)
                .into_iter()
                .partition::<Vec<_>, _>(|(place, ..)| *place == answer.origin);
            self.awaiting_names = rest;
            for (_, user, number) in ready {
                let state = &self.users[user as usize];
                if state.state == State::Busy && state.number == number && state.connection == NONE {
                    self.connect(user, self.origin_of(user));
                }
            }
        }
    }

    /// Looks all names up again, where the plan asks for it.
    pub(super) fn renew_names(&mut self) {
        let every = self.shared.plan.connections.resolve_every_ns.unwrap_or(u64::MAX);
        self.next_names = self.now.saturating_add(every);
        if self.resolver.as_ref().is_some_and(|resolver| !resolver.is_idle()) {
            // A resolver that is slower than that gets no pile of questions.
            return;
        }
        // The origins behind a proxy are not ours to look up, and may be unknown here.
        let places =
            if self.proxy.is_some() { PROXY..=PROXY } else { 0..=u32::try_from(self.origins.len() - 1).unwrap_or(0) };
        for place in places {
            if self.place(place).dial_host().parse::<IpAddr>().is_err() {
                // Without a thread for it the addresses stay as they are.
                let _ = self.ask_for_name(place);
            }
        }
    }
}
