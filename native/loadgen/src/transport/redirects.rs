//! Follows redirects. A chain is one request of its user; each hop is rendered from the previous one.

use super::Transport;
use super::connection::NONE;
use super::events::{Events, Raw};
use super::exchange::{Hop, place_of};
use super::step::requests_close;
use crate::plan::Scheme;
use crate::redirect::{self, Place, Rewrite};
use crate::response::{self, Expect};

/// What to do with a redirect response.
pub(super) enum Next {
    /// Follow it.
    Follow(Place),
    /// Treat it as the final response: at the limit, or without a usable location.
    Final,
    /// Treat it as the final response, because following would send a secret in the body to another origin.
    Withheld,
}

impl Transport {
    /// What to do with the response to `user`.
    #[cold]
    pub(super) fn next_after(&self, user: u32, status: u16, raw: &[u8], events: &impl Events) -> Next {
        let Some(place) = self.place_after(user, raw, events) else { return Next::Final };
        let exchange = &self.exchanges[user as usize];
        let step = &self.steps[exchange.step as usize];
        let origin = self.dialer.origin(exchange.origin(step));
        let crosses = (place.scheme, place.host.as_str(), place.port) != (origin.scheme, &*origin.host, origin.port);
        if crosses && step.body_has_secret && redirect::keeps_body(status, &self.request_of(user, events)) {
            Next::Withheld
        } else {
            Next::Follow(place)
        }
    }

    /// The location of the response to `user`, if it may be followed.
    fn place_after(&self, user: u32, raw: &[u8], events: &impl Events) -> Option<Place> {
        let exchange = &self.exchanges[user as usize];
        if exchange.hop.as_ref().map_or(0, |hop| hop.hops) >= self.options.redirects {
            return None;
        }
        let step = &self.steps[exchange.step as usize];
        let origin = self.dialer.origin(exchange.origin(step));
        let whole = response::take_apart(raw, exchange.expect(step))?;
        let location = std::str::from_utf8(whole.location.as_deref()?).ok()?.to_owned();
        let request = self.request_of(user, events);
        let line = String::from_utf8_lossy(request.split(|byte| *byte == b'\r').next().unwrap_or(&[])).into_owned();
        let base = format!("{}://{}", origin.scheme.name(), origin.authority());
        let target = line.split(' ').nth(1).unwrap_or("/");
        redirect::follow(origin, target.strip_prefix(base.as_str()).unwrap_or(target), &location)
    }

    /// The request of `user` as it was sent, without the user's cookies.
    fn request_of(&self, user: u32, events: &impl Events) -> Vec<u8> {
        let exchange = &self.exchanges[user as usize];
        if let Some(hop) = &exchange.hop {
            return hop.plain.as_ref().unwrap_or(&hop.request).clone();
        }
        let mut request = Vec::new();
        let values = exchange.values(self.options.seed);
        let program = &self.steps[exchange.step as usize].program;
        if program.needs_user {
            events.render(user, program, values, None, &mut request);
        } else {
            program.render(values, &mut request);
        }
        request
    }

    /// Rewrites the request of `user` for the location of its response. Its connection must be free.
    #[cold]
    pub(super) fn redirect(&mut self, user: u32, status: u16, place: Place, events: &impl Events) -> u32 {
        let request = self.request_of(user, events);
        let exchange = &self.exchanges[user as usize];
        let step = &self.steps[exchange.step as usize];
        let (from, hops) = (exchange.origin(step), exchange.hop.as_ref().map_or(0, |hop| hop.hops));
        let to = self.dialer.origin_at(&place);
        let origin = self.dialer.origin(to);
        let through_proxy = self.dialer.has_proxy() && place.scheme == Scheme::Http;
        let target =
            if through_proxy { format!("http://{}{}", origin.authority(), place.target) } else { place.target.clone() };
        let request = redirect::rewritten(
            &request,
            Rewrite {
                status,
                target: &target,
                host: &origin.authority(),
                crosses: to != from,
                secret_headers: &step.secret_headers,
                keeps_proxy_authorization: through_proxy,
            },
        );
        let with_cookies = events.cookies(user, origin).map(|cookies| {
            let mut value = Vec::new();
            cookies.append(&place.target, &mut value);
            redirect::with_cookies(&request, &value)
        });
        let (request, plain) = match with_cookies {
            Some(sent) => (sent, Some(request)),
            None => (request, None),
        };
        let expect = Expect { head_only: request.split(|byte| *byte == b' ').next() == Some(b"HEAD") };
        let exchange = &mut self.exchanges[user as usize];
        let closes = requests_close(&request);
        exchange.hop =
            Some(Box::new(Hop { origin: to, request, plain, target: place.target, hops: hops + 1, expect, closes }));
        exchange.connection = NONE;
        to
    }

    /// Follows the redirect that `user` received, in a response of `received` bytes.
    pub(super) fn follow(
        &mut self,
        user: u32,
        status: u16,
        place: Place,
        (received, raw): (u64, Raw<'_>),
        events: &mut impl Events,
    ) {
        events.redirected(user, received, raw, place_of(&self.exchanges[user as usize], &self.steps, &self.dialer));
        let to = self.redirect(user, status, place, events);
        self.connect(user, to, events);
    }
}
