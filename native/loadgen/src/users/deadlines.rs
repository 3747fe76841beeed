//! Timeouts without a timer per request: requests with the same timeout start in order, so they expire in order. There
//! is one linked list per distinct timeout; adding and removing take a few instructions, and the next to expire is a
//! head.

/// No such entry.
pub const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Link {
    before: u32,
    after: u32,
    expires: u64,
    list: u32,
}

#[derive(Debug, Clone, Copy)]
struct List {
    timeout: u64,
    first: u32,
    last: u32,
}

/// The deadlines of all users of a thread.
#[derive(Debug, Default)]
pub struct Deadlines {
    lists: Vec<List>,
    links: Vec<Link>,
}

impl Deadlines {
    /// The list for a timeout, created if there is none yet.
    pub fn list(&mut self, timeout: u64) -> u32 {
        let known = self.lists.iter().position(|list| list.timeout == timeout);
        let index = known.unwrap_or_else(|| {
            self.lists.push(List { timeout, first: NONE, last: NONE });
            self.lists.len() - 1
        });
        u32::try_from(index).unwrap_or(NONE)
    }

    /// Adds `user`, who must not be in a list. `now` never decreases.
    #[inline(always)]
    #[allow(clippy::inline_always)] // called for every request, in one place
    pub fn add(&mut self, user: u32, list: u32, now: u64) {
        let index = user as usize;
        if index >= self.links.len() {
            self.links.resize(index + 1, Link { before: NONE, after: NONE, expires: 0, list: NONE });
        }
        let place = &mut self.lists[list as usize];
        let before = std::mem::replace(&mut place.last, user);
        self.links[index] = Link { before, after: NONE, expires: now.saturating_add(place.timeout), list };
        if before == NONE {
            place.first = user;
        } else {
            self.links[before as usize].after = user;
        }
    }

    /// Removes `user`; does nothing if it is in no list.
    #[inline(always)]
    #[allow(clippy::inline_always)] // called for every request, in one place
    pub fn remove(&mut self, user: u32) {
        let Some(link) = self.links.get_mut(user as usize) else { return };
        if link.list == NONE {
            return;
        }
        let Link { before, after, list, .. } = *link;
        link.list = NONE;
        let place = &mut self.lists[list as usize];
        if before == NONE {
            place.first = after;
        } else {
            self.links[before as usize].after = after;
        }
        if after == NONE {
            place.last = before;
        } else {
            self.links[after as usize].before = before;
        }
    }

    /// When the next one expires.
    #[must_use]
    pub fn next(&self) -> u64 {
        let heads = self.lists.iter().filter(|list| list.first != NONE);
        heads.map(|list| self.links[list.first as usize].expires).min().unwrap_or(u64::MAX)
    }

    /// A user whose timeout has passed; not removed yet.
    #[must_use]
    pub fn expired(&self, now: u64) -> Option<u32> {
        self.lists.iter().map(|list| list.first).find(|user| *user != NONE && self.links[*user as usize].expires <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_a_map_from_users_to_times(steps in prop::collection::vec((0_u32..20, 0_u32..3, 0_u64..50), 0..300)) {
            let mut deadlines = Deadlines::default();
            let lists: Vec<u32> = [10, 100, 1000].into_iter().map(|timeout| deadlines.list(timeout)).collect();
            let timeouts = [10, 100, 1000];
            let mut model = std::collections::BTreeMap::new();
            let mut now = 0;
            for (user, list, pause) in steps {
                now += pause;
                if model.remove(&user).is_some() {
                    deadlines.remove(user);
                } else {
                    deadlines.add(user, lists[list as usize], now);
                    model.insert(user, now + timeouts[list as usize]);
                }
                prop_assert_eq!(deadlines.next(), model.values().min().copied().unwrap_or(u64::MAX));
                while let Some(expired) = deadlines.expired(now) {
                    prop_assert!(model.remove(&expired).unwrap() <= now);
                    deadlines.remove(expired);
                }
                prop_assert!(model.values().all(|expires| *expires > now));
            }
        }
    }
}
