//! The streams in flight, looked up by number without a search.
//!
//! Stream numbers increase by two, so a stream's slot is its number modulo the table's size. A stream that is still
//! there when its slot comes up again keeps it, and the newer one takes the next free slot; the longest such distance
//! bounds every look-up. The table is never more than half full.

use std::sync::Arc;

/// One request in flight, as reported to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stream {
    /// The number on the wire.
    pub id: u32,
    /// The caller's identifier of the request.
    pub token: u64,
}

/// The rest of a request's body.
#[derive(Debug, Default)]
pub(crate) enum Rest {
    /// Everything was sent.
    #[default]
    Nothing,
    /// From this byte on.
    Own(Vec<u8>, usize),
    /// From this byte on.
    Shared(Arc<[u8]>, usize),
}

impl Rest {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Rest::Nothing => &[],
            Rest::Own(body, from) => &body[*from..],
            Rest::Shared(body, from) => &body[*from..],
        }
    }

    pub(crate) fn advance(&mut self, count: usize) {
        match self {
            Rest::Nothing => {}
            Rest::Own(_, from) | Rest::Shared(_, from) => *from += count,
        }
    }
}

/// The state of a stream.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    /// 0 in a free slot.
    pub(crate) id: u32,
    pub(crate) token: u64,
    /// Responses to HEAD announce a length without a body.
    pub(crate) head_request: bool,
    pub(crate) want_headers: bool,
    /// The head of the final response was received.
    pub(crate) answered: bool,
    /// The announced length of the response's body.
    pub(crate) announced: Option<u64>,
    /// Bytes of it received.
    pub(crate) received: u64,
    /// Bytes of DATA frames received since the stream's window was last updated.
    pub(crate) received_frames: usize,
    /// Bytes that may still be sent; negative after the peer reduced its windows.
    pub(crate) send_window: i64,
    pub(crate) rest: Rest,
}

impl Slot {
    pub(crate) fn stream(&self) -> Stream {
        Stream { id: self.id, token: self.token }
    }
}

/// All streams in flight on a connection.
#[derive(Debug)]
pub(crate) struct Streams {
    slots: Vec<Slot>,
    live: usize,
    /// The longest distance of a stream from its slot.
    reach: usize,
}

impl Streams {
    pub(crate) fn new(expected: usize) -> Streams {
        let places = (2 * expected.clamp(4, 64)).next_power_of_two();
        Streams { slots: empty(places), live: 0, reach: 0 }
    }

    pub(crate) fn live(&self) -> usize {
        self.live
    }

    fn place(&self, id: u32, way: usize) -> usize {
        ((id >> 1) as usize + way) & (self.slots.len() - 1)
    }

    #[inline]
    pub(crate) fn insert(&mut self, slot: Slot) {
        if 2 * (self.live + 1) > self.slots.len() {
            self.grow();
        }
        let mut way = 0;
        while self.slots[self.place(slot.id, way)].id != 0 {
            way += 1;
        }
        let place = self.place(slot.id, way);
        self.reach = if self.live == 0 { way } else { self.reach.max(way) };
        self.live += 1;
        self.slots[place] = slot;
    }

    #[cold]
    fn grow(&mut self) {
        let places = 2 * self.slots.len();
        let old = std::mem::replace(&mut self.slots, empty(places));
        self.live = 0;
        for slot in old.into_iter().filter(|slot| slot.id != 0) {
            self.insert(slot);
        }
    }

    #[inline]
    pub(crate) fn find(&mut self, id: u32) -> Option<&mut Slot> {
        let place = (0..=self.reach).map(|way| self.place(id, way)).find(|place| self.slots[*place].id == id)?;
        Some(&mut self.slots[place])
    }

    /// Removes the stream.
    #[inline]
    pub(crate) fn remove(&mut self, id: u32) -> Option<Stream> {
        let slot = self.find(id)?;
        let stream = slot.stream();
        slot.id = 0;
        if !matches!(slot.rest, Rest::Nothing) {
            slot.rest = Rest::Nothing;
        }
        self.live -= 1;
        Some(stream)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| slot.id != 0)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.slots.iter_mut().filter(|slot| slot.id != 0)
    }
}

fn empty(places: usize) -> Vec<Slot> {
    std::iter::repeat_with(Slot::default).take(places).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(id: u32) -> Slot {
        Slot { id, token: u64::from(id) * 10, ..Slot::default() }
    }

    #[test]
    fn a_stream_that_outlives_many_others_is_still_found() {
        let mut streams = Streams::new(16);
        streams.insert(slot(1));
        for nth in 1..100_000 {
            let id = 2 * nth + 1;
            streams.insert(slot(id));
            assert_eq!(streams.find(id).map(|slot| slot.token), Some(u64::from(id) * 10));
            assert_eq!(streams.find(1).map(|slot| slot.token), Some(10));
            assert_eq!(streams.remove(id).map(|stream| stream.id), Some(id));
            assert!(streams.find(id).is_none());
        }
        assert_eq!(streams.slots.len(), 32, "no growth");
        assert!(streams.reach <= 1);
    }

    #[test]
    fn the_table_grows_with_the_streams_in_flight() {
        let mut streams = Streams::new(1);
        for nth in 0..1000 {
            streams.insert(slot(2 * nth + 1));
        }
        assert_eq!(streams.live(), 1000);
        for nth in (0..1000).rev() {
            assert!(streams.remove(2 * nth + 1).is_some());
        }
        assert_eq!((streams.live(), streams.iter().count()), (0, 0));
    }
}
