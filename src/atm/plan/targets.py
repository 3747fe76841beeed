"""Rules for the hosts and addresses that a plan may dial; a server applies them to runs started over the API.

Link-local and metadata addresses are refused unless they are listed: they give access to the machine's credentials.

The rules are part of the plan, because engines also resolve addresses during the run: the asyncio engine uses these
functions, the native one those of `native/loadgen/src/plan/targets.rs`. Both are tested with one table of cases.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from atm.dataclass import dataclass

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("168.63.129.16", "100.100.100.200", "192.0.0.192"),
        *("fd00:ec2::/32", "fd20:ce::/32", "fd00:42::/32", "fd00:c1::/32", "fd00:a9fe:a9fe::/48"),
    )
)
"""Addresses of cloud metadata services with credentials, beside the link-local 169.254.169.254: Azure, Alibaba,
Oracle; then the unique local networks of AWS (also its pod identities), Google, Scaleway, Oracle and Akamai."""
_TRANSLATED = tuple(ipaddress.ip_network(text) for text in ("64:ff9b:1::/48", "2001::/32"))
"""Site-local NAT64 (RFC 8215) and Teredo: they lead to IPv4 addresses that cannot be derived from them."""
_EMBEDDING = tuple(ipaddress.ip_network(text) for text in ("64:ff9b::/96", "::/96", "::ffff:0:0:0/96"))
"""Their last 32 bits are an IPv4 address: NAT64 (RFC 6052), IPv4-compatible (RFC 4291), IPv4-translated (RFC 2765)."""


@dataclass(frozen=True, slots=True)
class TargetRules:
    """`allowed` lists host names (`*` for any part), addresses and networks; empty: all except those above."""

    allowed: tuple[str, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[str]) -> TargetRules:
        """Parse a setting into rules; networks are normalised to address and prefix length, as engines read them."""
        return cls(tuple(entry if (network := _network(entry)) is None else str(network) for entry in entries))

    def refusal_of_name(self, host: str) -> str:
        """Return why this host may not be dialled at any address, or ""; checked before a name is resolved."""
        if (address := _address(host)) is not None:
            return self.refusal(host, str(address))
        if not self.allowed or self._names(host) or any(_network(entry) is not None for entry in self.allowed):
            return ""
        return f'"{host}" is not among the hosts that this server may load'

    def refusal(self, host: str, address: str) -> str:
        """Return why this address of this host may not be dialled, or ""."""
        parsed = _address(address)
        if parsed is None:
            return f'"{address}" is no address'
        if any(parsed in network for entry in self.allowed if (network := _network(entry)) is not None):
            return ""
        if kind := _special(parsed):
            return f'"{host}" leads to {parsed}, a {kind} address that this server may not load'
        if self.allowed and not self._names(host):
            return f'"{host}" ({parsed}) is not among the hosts that this server may load'
        return ""

    def refusal_through_proxy(self, host: str) -> str:
        """Return why a proxy may not be used for this host, or "": a name that the proxy resolves must be listed.

        Anything that is neither a name nor an address in its usual form (`0xa9fea9fe`) counts as a name.
        """
        if _address(host) is not None or self._names(host):
            return self.refusal_of_name(host)
        return f'"{host}" would be looked up by the proxy, where this server cannot judge its address'

    @property
    def judge_addresses(self) -> bool:
        """Whether the name alone does not decide."""
        return not self.allowed or any(_network(entry) is not None for entry in self.allowed)

    def _names(self, host: str) -> bool:
        plain = host.lower().rstrip(".")
        return any(_matches(entry.lower().rstrip("."), plain) for entry in self.allowed)


def _special(address: _Address) -> str:
    """Return the kind of address that is never a load target; empty for others."""
    if address.is_link_local:
        return "link-local"
    if any(address in network for network in _METADATA):
        return "metadata"
    translated = any(address in network for network in _TRANSLATED)
    return "special" if translated or address.is_multicast or address.is_unspecified else ""


def _matches(pattern: str, name: str) -> bool:
    pieces = (re.escape(piece) for piece in pattern.split("*"))
    return re.fullmatch(".*".join(pieces), name, re.DOTALL) is not None


def _address(text: str) -> _Address | None:
    """Parse an address; an IPv4 address embedded in IPv6 is extracted, because packets go there."""
    try:
        parsed = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return parsed.ipv4_mapped
        if parsed.sixtofour is not None:
            return parsed.sixtofour
        if any(parsed in network for network in _EMBEDDING) and int(parsed) > 1:
            return ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
    return parsed


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return None
