"""Whether a host is this machine: what is served there or sent there stays here."""

from __future__ import annotations

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Whether `host` is a loopback address, IPv6 without brackets, or `localhost`.

    Names below `localhost` do not count: some resolvers ask other machines for them.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host.lower() == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
