//! Name resolution during the run: pending queries, the requests that wait for them, and periodic re-resolution.

use std::io;

use super::resolver::{Resolution, Resolver};
use crate::plan::TargetRules;
use crate::poller::Waker;

/// A request that waits for a name: its user, and its serial number.
pub(super) type Waiting = (u32, u32);

/// The names of a thread's origins.
#[derive(Debug)]
pub(super) struct Names {
    resolver: Option<Resolver>,
    waker: Waker,
    rules: Option<TargetRules>,
    /// (place, request).
    waiting: Vec<(u32, Waiting)>,
    every: u64,
    next: u64,
}

impl Names {
    /// `every`: ns between two resolutions of all names; None = resolve only names without an address.
    pub(super) fn new(waker: Waker, rules: Option<TargetRules>, every: Option<u64>) -> Names {
        let every = every.unwrap_or(u64::MAX);
        Names { resolver: None, waker, rules, waiting: Vec::new(), every, next: every }
    }

    /// When all names are resolved again.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Queues a request until the name of `place` is resolved. Returns true if that is not being resolved yet.
    pub(super) fn wait(&mut self, place: u32, request: Waiting) -> bool {
        let is_new = self.waiting.iter().all(|(waited, _)| *waited != place);
        self.waiting.push((place, request));
        is_new
    }

    /// Starts resolving a name.
    pub(super) fn query(&mut self, place: u32, host: &str, port: u16) -> io::Result<()> {
        let resolver = match self.resolver.take() {
            Some(resolver) => resolver,
            None => Resolver::start(self.waker.clone(), self.rules.clone())?,
        };
        resolver.query(place, host, port);
        self.resolver = Some(resolver);
        Ok(())
    }

    /// Takes a finished resolution.
    pub(super) fn take_resolution(&self) -> Option<Resolution> {
        self.resolver.as_ref().and_then(Resolver::take_resolution)
    }

    /// The requests that waited for `place`.
    pub(super) fn ready(&mut self, place: u32) -> Vec<Waiting> {
        let (ready, rest) =
            std::mem::take(&mut self.waiting).into_iter().partition::<Vec<_>, _>(|(waited, _)| *waited == place);
        self.waiting = rest;
        ready.into_iter().map(|(_, request)| request).collect()
    }

    /// True if all names must be resolved now; waits for a slow resolver, so that no queries pile up.
    pub(super) fn is_due(&mut self, now: u64) -> bool {
        self.next = now.saturating_add(self.every);
        self.resolver.as_ref().is_none_or(Resolver::is_idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poller::Poller;

    #[test]
    fn a_name_is_asked_for_once_and_all_that_wait_for_it_go_on() {
        let mut poller = Poller::new().unwrap();
        let mut names = Names::new(poller.waker().unwrap(), None, Some(100));
        assert!(names.wait(0, (7, 1)));
        assert!(!names.wait(0, (8, 1)));
        assert!(names.wait(1, (9, 1)));
        names.query(0, "localhost", 80).unwrap();
        assert!(!names.is_due(250));
        assert_eq!(names.next(), 350);
        let answer = loop {
            poller.wait(5_000_000_000).unwrap();
            if let Some(answer) = names.take_resolution() {
                break answer;
            }
        };
        assert!(!answer.addresses.is_empty() && answer.origin == 0);
        assert_eq!(names.ready(0), [(7, 1), (8, 1)]);
        assert_eq!((names.ready(0), names.ready(1)), (vec![], vec![(9, 1)]));
        assert!(names.is_due(400));
    }
}
