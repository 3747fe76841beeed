//! The connections of a thread, by index. Each use of an index has a unique token.

use super::connection::{Connection, NONE, Stage};

#[derive(Debug)]
struct Slot {
    /// Incremented with every use, so that events for a closed connection are ignored.
    generation: u32,
    connection: Option<Connection>,
}

/// All connections of a thread.
#[derive(Debug, Default)]
pub(super) struct Pool {
    slots: Vec<Slot>,
    vacant: Vec<u32>,
    open: usize,
}

impl Pool {
    /// Number of connections, including those being dialled.
    pub(super) fn len(&self) -> usize {
        self.open
    }

    #[inline]
    pub(super) fn find(&self, token: u64) -> Option<u32> {
        #[allow(clippy::cast_possible_truncation)] // a token is two halves
        let (index, generation) = (token as u32, (token >> 32) as u32);
        let slot = self.slots.get(index as usize)?;
        (slot.generation == generation && slot.connection.is_some()).then_some(index)
    }

    #[inline]
    pub(super) fn get(&mut self, index: u32) -> Option<&mut Connection> {
        self.slots.get_mut(index as usize)?.connection.as_mut()
    }

    #[inline]
    pub(super) fn is_open(&self, index: u32) -> bool {
        let connection = self.slots[index as usize].connection.as_ref();
        connection.is_some_and(|connection| connection.stage == Stage::Open)
    }

    #[inline]
    pub(super) fn has_unsent(&self, index: u32) -> bool {
        self.slots[index as usize].connection.as_ref().is_some_and(Connection::has_unsent)
    }

    pub(super) fn insert(&mut self, connection: Connection) -> (u32, u64) {
        self.open += 1;
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, connection: None });
            u32::try_from(self.slots.len() - 1).unwrap_or(NONE)
        });
        let slot = &mut self.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        slot.connection = Some(connection);
        (index, u64::from(slot.generation) << 32 | u64::from(index))
    }

    /// The token of an open connection.
    pub(super) fn token(&self, index: u32) -> u64 {
        u64::from(self.slots[index as usize].generation) << 32 | u64::from(index)
    }

    pub(super) fn close(&mut self, index: u32) {
        if self.slots.get_mut(index as usize).and_then(|slot| slot.connection.take()).is_some() {
            self.open -= 1;
            self.vacant.push(index);
        }
    }

    pub(super) fn close_all(&mut self) {
        for index in 0..self.slots.len() {
            self.close(u32::try_from(index).unwrap_or(NONE));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_token_is_that_of_one_connection_only() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let dial = || Connection::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap(), 0, 0, 0);
        let mut pool = Pool::default();
        let (first, token) = pool.insert(dial());
        assert_eq!((pool.len(), pool.find(token), pool.token(first)), (1, Some(first), token));
        pool.close(first);
        pool.close(first);
        assert_eq!((pool.len(), pool.find(token)), (0, None));
        let (second, newer) = pool.insert(dial());
        assert_eq!((second, pool.find(token), pool.find(newer)), (first, None, Some(second)));
        pool.close_all();
        assert!(pool.get(second).is_none());
    }
}
