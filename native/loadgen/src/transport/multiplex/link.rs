//! Shared connections: the users of each, and its pending requests.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::heads;
use super::sink::Ended;
use crate::plan::{HttpVersion, Plan};

/// (origin, group of users) that share a connection.
pub(super) type Key = (u32, u32);

/// The shared connections of a thread.
#[derive(Debug)]
pub(in crate::transport) struct Links {
    /// The connection of each group of users.
    pub(super) by_key: HashMap<Key, u32>,
    /// Origins that negotiated HTTP/1.1 when both were offered.
    pub(super) speaks_one: Vec<u32>,
    pub(super) streams_per_connection: u32,
    /// By step.
    pub(super) templates: Arc<[h2client::Template]>,
    /// Connections with data to send.
    pub(super) dirty: Vec<u32>,
    /// Streams that ended in the current piece of input.
    pub(super) ended: Vec<Ended>,
}

impl Links {
    pub(in crate::transport) fn new(plan: &Plan) -> Links {
        let is_needed = plan.connections.http_version != HttpVersion::One;
        Links {
            by_key: HashMap::new(),
            speaks_one: Vec::new(),
            streams_per_connection: plan.connections.streams_per_connection.max(1),
            templates: if is_needed { heads::templates(plan) } else { Arc::from([]) },
            dirty: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// The key of a user's connection to an origin.
    pub(super) fn key(&self, user: u32, origin: u32) -> Key {
        (origin, user / self.streams_per_connection)
    }
}

/// The state of a shared connection.
#[derive(Debug)]
pub(in crate::transport) struct Multiplex {
    /// The users that may use it.
    pub(super) key: Key,
    /// The protocol's state, once the connection is open and speaks HTTP/2.
    pub(super) protocol: Option<Box<h2client::Connection>>,
    /// (user, serial number of its request): those that wait for the connection, or for a free stream on it.
    pub(super) queue: VecDeque<(u32, u32)>,
    /// It has data to send.
    pub(super) dirty: bool,
}

impl Multiplex {
    pub(super) fn new(key: Key, user: u32, serial: u32) -> Multiplex {
        Multiplex { key, protocol: None, queue: VecDeque::from([(user, serial)]), dirty: false }
    }

    pub(in crate::transport) fn is_open(&self) -> bool {
        self.protocol.is_some()
    }
}
