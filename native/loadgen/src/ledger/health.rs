//! Health of the process and machine: CPU, memory, and CPU time stolen by the hypervisor.

use std::fs;

use crate::clock;

/// Readings taken once a second.
#[derive(Debug, Default)]
pub struct Health {
    process_cpu_ns: u64,
    steal: Option<(u64, u64)>,
}

/// The figures between two readings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// CPU time of the whole process.
    pub cpu_seconds: f64,
    /// Share of the machine's CPU time that was stolen, 0 to 1.
    pub steal_share: f64,
    /// Resident memory of the process.
    pub memory_bytes: u64,
}

impl Health {
    /// Starts measuring.
    #[must_use]
    pub fn new() -> Health {
        Health { process_cpu_ns: clock::process_cpu_ns(), steal: steal_and_total() }
    }

    /// The figures since the last reading.
    #[allow(clippy::cast_precision_loss)]
    pub fn read(&mut self) -> Reading {
        let cpu = clock::process_cpu_ns();
        let steal = steal_and_total();
        let steal_share = match (self.steal, steal) {
            (Some((stolen_before, before)), Some((stolen, total))) if total > before => {
                stolen.saturating_sub(stolen_before) as f64 / (total - before) as f64
            }
            _ => 0.0,
        };
        let reading = Reading {
            cpu_seconds: cpu.saturating_sub(self.process_cpu_ns) as f64 / 1e9,
            steal_share,
            memory_bytes: resident_bytes(),
        };
        self.process_cpu_ns = cpu;
        self.steal = steal;
        reading
    }
}

/// Stolen ticks and all ticks from the first line of /proc/stat; None without that file.
fn steal_and_total() -> Option<(u64, u64)> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let ticks: Vec<u64> = stat.lines().next()?.split_whitespace().skip(1).map_while(|tick| tick.parse().ok()).collect();
    // The ninth and tenth are guest time, which the first two already include.
    Some((*ticks.get(7)?, ticks.iter().take(8).sum()))
}

/// Resident memory of this process; 0 if unknown.
fn resident_bytes() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|statm| statm.split_whitespace().nth(1)?.parse::<u64>().ok());
    // SAFETY: no pointers.
    let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    pages.unwrap_or(0) * page
}

/// File descriptors reserved for other uses: files opened by Python or the resolver.
const RESERVE: u64 = 128;

/// Returns how many connections this process may have, after raising the soft limit to the hard one.
#[must_use]
pub fn descriptors_for_connections() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for writing the result, and then a valid setting.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) != 0 {
            return 256;
        }
        let soft = limit.rlim_cur;
        limit.rlim_cur = limit.rlim_max;
        if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) != 0 {
            limit.rlim_cur = soft;
        }
    }
    limit.rlim_cur.saturating_sub(RESERVE).max(1)
}
