//! Resolves names during the run on a separate thread, because the system's resolver blocks.

use std::cell::Cell;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use crate::clock;
use crate::plan::TargetRules;
use crate::poller::Waker;

/// A finished resolution.
#[derive(Debug)]
pub struct Resolution {
    /// Index of the origin.
    pub origin: u32,
    /// Its addresses; empty on an error.
    pub addresses: Vec<IpAddr>,
    /// The error.
    pub error: String,
    /// The name has addresses, but none of them may be dialled.
    pub is_refused: bool,
    /// How long it took, ns.
    pub took: u64,
}

/// Queries the system's resolver.
#[derive(Debug)]
pub struct Resolver {
    /// Number of pending queries.
    open: Cell<u32>,
    queries: Sender<(u32, String, u16)>,
    resolutions: Receiver<Resolution>,
}

impl Resolver {
    /// Starts the thread; `waker` is woken for every result, which contains only addresses allowed by `rules`.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub fn start(waker: Waker, rules: Option<TargetRules>) -> std::io::Result<Resolver> {
        let (queries, pending) = mpsc::channel::<(u32, String, u16)>();
        let (results, resolutions) = mpsc::channel();
        thread::Builder::new().name("atm-resolve".to_owned()).spawn(move || {
            for (origin, host, port) in pending {
                let began = clock::monotonic_ns();
                let (found, error) = look_up(&host, port);
                let (addresses, refusal) = allowed(&host, found, rules.as_ref());
                let (error, is_refused) = refusal.map_or((error, false), |refusal| (refusal, true));
                let took = clock::monotonic_ns() - began;
                if results.send(Resolution { origin, addresses, error, is_refused, took }).is_err() {
                    return;
                }
                waker.wake();
            }
        })?;
        Ok(Resolver { open: Cell::new(0), queries, resolutions })
    }

    /// Queries the addresses of an origin.
    pub fn query(&self, origin: u32, host: &str, port: u16) {
        self.open.set(self.open.get() + 1);
        // The thread lives as long as this does.
        let _ = self.queries.send((origin, host.to_owned(), port));
    }

    /// Takes a finished resolution.
    pub fn take_resolution(&self) -> Option<Resolution> {
        let resolution = self.resolutions.try_recv().ok()?;
        self.open.set(self.open.get().saturating_sub(1));
        Some(resolution)
    }

    /// True if no query is pending.
    pub fn is_idle(&self) -> bool {
        self.open.get() == 0
    }
}

/// Filters the addresses by the target rules; if none is allowed, returns the reason for the first.
fn allowed(host: &str, found: Vec<IpAddr>, rules: Option<&TargetRules>) -> (Vec<IpAddr>, Option<String>) {
    let Some(rules) = rules else { return (found, None) };
    let mut refusal = None;
    let mut addresses = Vec::with_capacity(found.len());
    for address in found {
        match rules.refusal(host, address) {
            None => addresses.push(address),
            Some(why) => refusal = refusal.or(Some(why)),
        }
    }
    let refusal = if addresses.is_empty() { refusal } else { None };
    (addresses, refusal)
}

fn look_up(host: &str, port: u16) -> (Vec<IpAddr>, String) {
    match (host, port).to_socket_addrs() {
        Ok(found) => {
            let mut addresses: Vec<IpAddr> = Vec::new();
            for address in found {
                if !addresses.contains(&address.ip()) {
                    addresses.push(address.ip());
                }
            }
            (addresses, String::new())
        }
        Err(error) => {
            let why = error.to_string();
            let why = why.rsplit(": ").next().unwrap_or("");
            if why.contains("not known") || why.contains("No address associated") || why.contains("nodename") {
                (Vec::new(), format!("the name \"{host}\" does not exist"))
            } else {
                (Vec::new(), format!("the name \"{host}\" could not be resolved: {}", why.to_lowercase()))
            }
        }
    }
}
