//! Following where an answer points. A chain is one request of its user; each hop is rendered from the one before.

use super::Worker;
use super::user::Hop;
use crate::deadlines::NONE;
use crate::plan::{Header, Origin, Part, Scheme};
use crate::redirect::{self, Place, Rewrite};
use crate::response::{self, Expect, Head};
use crate::template::Values;

/// What follows an answer that points elsewhere.
pub(super) enum Next {
    /// The request is sent on.
    Follow(Place),
    /// It is an answer like any other: at the limit, or leading nowhere.
    Answer,
    /// It would take a body that holds a secret to another origin, so it is an answer like any other.
    Withheld,
}

impl Worker {
    /// What follows the answer to `user`.
    #[cold]
    pub(super) fn next_after(&self, user: u32, status: u16, raw: &[u8]) -> Next {
        let Some(place) = self.place_after(user, raw) else { return Next::Answer };
        let state = &self.users[user as usize];
        let origin = &self.origins[self.origin_of(user) as usize];
        let crosses = (place.scheme, place.host.as_str(), place.port) != (origin.scheme, &*origin.host, origin.port);
        let body = self.shared.plan.flows[state.flow as usize].steps[0].body.as_ref();
        let has_secret = body.is_some_and(|body| body.iter().any(|part| matches!(part, Part::Secret { .. })));
        if crosses && has_secret && redirect::keeps_body(status, &self.request_of(user)) {
            Next::Withheld
        } else {
            Next::Follow(place)
        }
    }

    /// Where the answer to `user` points, while it may be followed.
    fn place_after(&self, user: u32, raw: &[u8]) -> Option<Place> {
        let state = &self.users[user as usize];
        if state.hop.as_ref().map_or(0, |hop| hop.hops) >= self.shared.plan.connections.redirects {
            return None;
        }
        let route = &self.routes[state.flow as usize];
        let origin = &self.origins[self.origin_of(user) as usize];
        let expect = state.hop.as_ref().map_or(route.expect, |hop| hop.expect);
        let whole = response::take_apart(raw, expect)?;
        let location = std::str::from_utf8(whole.location.as_deref()?).ok()?.to_owned();
        let request = self.request_of(user);
        let line = String::from_utf8_lossy(request.split(|byte| *byte == b'\r').next().unwrap_or(&[])).into_owned();
        let base = format!("{}://{}", origin.scheme.name(), origin.authority());
        let target = line.split(' ').nth(1).unwrap_or("/");
        redirect::follow(origin, target.strip_prefix(base.as_str()).unwrap_or(target), &location)
    }

    /// Where the request of `user` goes now.
    pub(super) fn origin_of(&self, user: u32) -> u32 {
        let state = &self.users[user as usize];
        state.hop.as_ref().map_or(self.routes[state.flow as usize].origin, |hop| hop.origin)
    }

    /// The request of `user` as it was sent.
    fn request_of(&self, user: u32) -> Vec<u8> {
        let state = &self.users[user as usize];
        if let Some(hop) = &state.hop {
            return hop.request.clone();
        }
        let mut request = Vec::new();
        let values = Values { seed: self.shared.plan.seed, number: state.number, wall_ns: state.wall_ns };
        self.routes[state.flow as usize].program.render(values, &mut request);
        request
    }

    /// Sends the request of `user` on to where its answer points.
    #[cold]
    pub(super) fn follow(&mut self, user: u32, index: u32, place: Place, head: Head, ends_connection: bool) {
        let request = self.request_of(user);
        let state = &self.users[user as usize];
        let route = &self.routes[state.flow as usize];
        let (from, hops) = state.hop.as_ref().map_or((route.origin, 0), |hop| (hop.origin, hop.hops));
        let known = self.origins.iter().position(|origin| {
            (origin.scheme, origin.host.as_str(), origin.port) == (place.scheme, place.host.as_str(), place.port)
        });
        let to = known.unwrap_or_else(|| {
            let rules = self.shared.plan.connections.targets.as_ref();
            let refusal = rules.and_then(|rules| rules.refusal_of_name(&place.host));
            self.origins.push(Origin {
                scheme: place.scheme,
                // A literal address needs no looking up.
                addresses: if refusal.is_none() { place.host.parse().into_iter().collect() } else { Vec::new() },
                host: place.host.clone(),
                port: place.port,
                connect_host: String::new(),
                connect_port: 0,
                resolve_error: refusal.unwrap_or_default(),
            });
            self.origins.len() - 1
        });
        let to = u32::try_from(to).unwrap_or(NONE);
        let origin = &self.origins[to as usize];
        let through_proxy = self.shared.plan.connections.proxy.is_some();
        let target = if through_proxy && place.scheme == Scheme::Http {
            format!("http://{}{}", origin.authority(), place.target)
        } else {
            place.target
        };
        let step = &self.shared.plan.flows[state.flow as usize].steps[0];
        let is_secret = |header: &&Header| header.value.iter().any(|part| matches!(part, Part::Secret { .. }));
        let secret_headers: Vec<String> =
            step.headers.iter().filter(is_secret).map(|header| header.name.to_ascii_lowercase()).collect();
        let request = redirect::rewritten(
            &request,
            Rewrite {
                status: head.status,
                target: &target,
                host: &origin.authority(),
                crosses: to != from,
                secret_headers: &secret_headers,
                keeps_proxy_authorization: through_proxy && place.scheme == Scheme::Http,
            },
        );
        let method = request.split(|byte| *byte == b' ').next().unwrap_or(&[]);
        let expect = Expect { head_only: method == b"HEAD" };
        let (endpoint, warm_up) = (route.endpoint, state.warm_up);
        let figures = self.second.figures(endpoint, warm_up);
        figures.redirect_hops += 1;
        if let Some(connection) = self.connections.get(index) {
            figures.bytes_received += connection.reader.received();
        }
        self.release(index, head, ends_connection);
        let state = &mut self.users[user as usize];
        state.hop = Some(Box::new(Hop { origin: to, request, hops: hops + 1, expect }));
        state.connection = NONE;
        self.connect(user, to);
    }
}
