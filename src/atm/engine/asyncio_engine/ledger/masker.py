"""Secrets in what is kept become `***`: by the name of a header, and wherever a secret's value stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from atm.plan.load_plan import Encoding, LoadPlan, SecretPart
from atm.plan.templates import encoded

MASK = "***"
SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"})
"""Headers whose values are masked whatever they are made of."""

_SHORTEST = 4
"""Characters; shorter values would mask half of any text, so they are masked in the requests they belong to only."""


class Masker:
    """Knows every value that a secret slot has had in this run."""

    def __init__(self, plan: LoadPlan, secrets: Mapping[str, str]) -> None:
        self._headers = SECRET_HEADERS | {
            header.name.lower()
            for flow in plan.flows
            for step in flow.steps
            for header in step.headers
            if any(isinstance(part, SecretPart) for part in header.value)
        }
        self._values: dict[str, list[str]] = {}
        self._everywhere: list[str] = []
        for slot, value in secrets.items():
            self.learn(slot, value)

    def learn(self, slot: str, value: str) -> None:
        """Mask this value of `slot` from now on, the earlier ones too."""
        forms = {encoded(value, encoding) for encoding in Encoding}
        # A body that is echoed inside of JSON is escaped twice.
        forms.add(encoded(encoded(value, Encoding.JSON), Encoding.JSON))
        forms.discard("")
        known = self._values.setdefault(slot, [])
        known.extend(form for form in forms if form not in known)
        # The longest first: one secret may begin with another.
        everywhere = {form for values in self._values.values() for form in values if len(form) >= _SHORTEST}
        self._everywhere = sorted(everywhere, key=len, reverse=True)

    def header(self, name: str, value: str) -> str:
        """The value of a header, masked whole where its name says so."""
        return MASK if name.lower() in self._headers else value

    def text(self, text: str) -> str:
        """Any text."""
        return _masked(text, self._everywhere)

    def request_text(self, text: str, slots: Iterable[str]) -> str:
        """A piece of a request that was rendered from `slots`; their values are masked however short they are."""
        short = [value for slot in slots for value in self._values.get(slot, ()) if len(value) < _SHORTEST]
        return _masked(_masked(text, self._everywhere), short)


def _masked(text: str, values: Iterable[str]) -> str:
    for value in values:
        if value in text:
            text = text.replace(value, MASK)
    return text
