//! Rules for the addresses that a plan may dial, as in `atm.plan.targets`; a server applies them to runs started over
//! the API.
//!
//! Addresses resolved during the run, and targets of redirects, are checked here before they are dialled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Deserialize;

/// Cloud metadata services with credentials, beside the link-local 169.254.169.254 (`atm.plan.targets` names the
/// clouds).
const METADATA: [Network; 8] = [
    Network::v4([168, 63, 129, 16], 32),
    Network::v4([100, 100, 100, 200], 32),
    Network::v4([192, 0, 0, 192], 32),
    Network::v6([0xfd00, 0xec2, 0, 0], 32),
    Network::v6([0xfd20, 0xce, 0, 0], 32),
    Network::v6([0xfd00, 0x42, 0, 0], 32),
    Network::v6([0xfd00, 0xc1, 0, 0], 32),
    Network::v6([0xfd00, 0xa9fe, 0xa9fe, 0], 48),
];

/// Site-local NAT64 (RFC 8215) and Teredo: they lead to IPv4 addresses that cannot be derived from them.
const TRANSLATED: [Network; 2] = [Network::v6([0x64, 0xff9b, 1, 0], 48), Network::v6([0x2001, 0, 0, 0], 32)];

/// Rules for targets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct TargetRules {
    /// Host names (`*` for any part), addresses and networks; empty: all except link-local and metadata addresses.
    pub allowed: Vec<String>,
}

impl TargetRules {
    /// Why this host may not be dialled at any address; a literal address is checked as such.
    #[must_use]
    pub fn refusal_of_name(&self, host: &str) -> Option<String> {
        if let Ok(address) = literal(host).parse() {
            return self.refusal(host, address);
        }
        let may_be_named_by_its_address = self.allowed.iter().any(|entry| Network::of(entry).is_some());
        if self.allowed.is_empty() || self.names(host) || may_be_named_by_its_address {
            return None;
        }
        Some(format!("\"{host}\" is not among the hosts that this server may load"))
    }

    /// Why this address of this host may not be dialled.
    #[must_use]
    pub fn refusal(&self, host: &str, address: IpAddr) -> Option<String> {
        let found = unwrapped(address);
        if self.allowed.iter().filter_map(|entry| Network::of(entry)).any(|network| network.contains(found)) {
            return None;
        }
        if let Some(kind) = special(found) {
            return Some(format!("\"{host}\" leads to {found}, a {kind} address that this server may not load"));
        }
        if self.allowed.is_empty() || self.names(host) {
            return None;
        }
        Some(format!("\"{host}\" ({found}) is not among the hosts that this server may load"))
    }

    fn names(&self, host: &str) -> bool {
        let plain = plain(host);
        self.allowed.iter().any(|entry| matches(&self::plain(entry), &plain))
    }
}

/// An entry that is an address or a network.
#[derive(Debug, Clone, Copy)]
struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    const fn v4([a, b, c, d]: [u8; 4], prefix: u32) -> Network {
        Network { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
    }

    const fn v6([a, b, c, d]: [u16; 4], prefix: u32) -> Network {
        Network { address: IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)), prefix }
    }

    fn of(entry: &str) -> Option<Network> {
        let entry = entry.trim_matches(['[', ']']);
        let (address, prefix) =
            entry.split_once('/').map_or((entry, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
            Some(_) => return None,
        };
        (prefix <= longest).then_some(Network { address, prefix })
    }

    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(mine), IpAddr::V4(other)) => {
                (mine.to_bits() ^ other.to_bits()).checked_shr(32 - self.prefix).unwrap_or(0) == 0
            }
            (IpAddr::V6(mine), IpAddr::V6(other)) => {
                (mine.to_bits() ^ other.to_bits()).checked_shr(128 - self.prefix).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

fn special(address: IpAddr) -> Option<&'static str> {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    if link_local {
        Some("link-local")
    } else if METADATA.iter().any(|network| network.contains(address)) {
        Some("metadata")
    } else if address.is_multicast()
        || address.is_unspecified()
        || TRANSLATED.iter().any(|network| network.contains(address))
    {
        Some("special")
    } else {
        None
    }
}

/// Extracts an IPv4 address embedded in IPv6, because packets go there.
fn unwrapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    let inner = match six.segments() {
        // The unspecified address and loopback are not IPv4-compatible ones.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => return address,
        [0, 0, 0, 0, 0, 0xffff | 0, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x2002, high, low, ..]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => (u32::from(high) << 16) | u32::from(low),
        _ => return address,
    };
    IpAddr::V4(Ipv4Addr::from_bits(inner))
}

/// The text of an address without brackets and scope.
fn literal(host: &str) -> &str {
    let host = host.trim_matches(['[', ']']);
    host.split_once('%').map_or(host, |(address, _)| address)
}

fn plain(name: &str) -> String {
    name.to_lowercase().trim_end_matches('.').to_owned()
}

/// True if all of `text` matches `pattern`, in which `*` is any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or("");
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Deserialize)]
    struct Cases {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        allowed: Vec<String>,
        host: String,
        /// None: only the name is checked.
        address: Option<String>,
        refusal: String,
    }

    /// The tests of `atm.plan.targets` read the same file.
    #[test]
    fn addresses_are_judged_as_the_other_engine_judges_them() {
        let Cases { cases } = serde_json::from_str(include_str!("../../../../tests/vectors/targets.json")).unwrap();
        assert!(cases.len() > 40);
        for Case { allowed, host, address, refusal } in cases {
            let rules = TargetRules { allowed };
            let found = match &address {
                Some(address) => rules.refusal(&host, address.parse().unwrap()),
                None => rules.refusal_of_name(&host),
            };
            assert_eq!(found.unwrap_or_default(), refusal, "{:?} {host} {address:?}", rules.allowed);
        }
    }

    proptest! {
        #[test]
        fn a_network_holds_what_shares_its_first_bits(address: u32, other: u32, prefix in 0_u32..=32) {
            let entry = format!("{}/{prefix}", Ipv4Addr::from_bits(address));
            let shared = (address ^ other).leading_zeros() >= prefix;
            let network = Network::of(&entry).unwrap();
            prop_assert_eq!(network.contains(Ipv4Addr::from_bits(other).into()), shared);
        }

        #[test]
        fn any_text_is_a_rule_and_refuses_metadata(allowed in prop::collection::vec("[a-z*./:\\[\\]%0-9]{0,12}", 0..4)) {
            let by_address = allowed.iter().any(|entry| Network::of(entry).is_some());
            let rules = TargetRules { allowed };
            let refused = rules.refusal("name.test", "169.254.169.254".parse().unwrap()).is_some();
            prop_assert!(refused || by_address);
        }
    }
}
