"""Apply the rules of `connect_to` to origins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from atm.models.fields import Findings
from atm.plan.connections import Origin
from atm.plan.urls import parse_connect_to


class AddressOverrides:
    """The rules of `connect_to`; the first that fits an origin applies."""

    def __init__(self, connect_to: Sequence[str], findings: Findings) -> None:
        """Parse the rules and report those that are not valid."""
        self._rules: dict[tuple[str, int | None], tuple[int, str, int]] = {}
        for index, text in enumerate(connect_to):
            if rule := parse_connect_to(text, ("connect_to", index), findings):
                self._rules.setdefault(rule[:2], (index, rule[2], rule[3] or 0))

    def applied(self, origins: Iterable[Origin]) -> tuple[Origin, ...]:
        """Return the origins with the addresses to connect to."""
        return tuple(self._of(origin) for origin in origins)

    def _of(self, origin: Origin) -> Origin:
        candidates = [(host, port) for host in ("", origin.host) for port in (None, origin.port)]
        rules = [self._rules[candidate] for candidate in candidates if candidate in self._rules]
        override = min(rules, default=None)
        return replace(origin, connect_host=override[1], connect_port=override[2]) if override else origin
