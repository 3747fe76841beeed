"""Replace secrets in samples and messages by `***`: by header name, and wherever a secret's value occurs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy

from atm.engine.secrets import is_secret_value
from atm.plan.load_plan import LoadPlan
from atm.plan.template_parts import Encoding, SecretPart
from atm.plan.templates import encoded

MASK = "***"
SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"})
"""Headers whose values are always masked."""

_SHORTEST = 4
"""Characters; shorter values would mask half of any text, so they are masked only in requests that use them."""


class Masker:
    """Holds every value that a secret slot has had in this run."""

    def __init__(self, plan: LoadPlan, secrets: Mapping[str, str]) -> None:
        self._headers = SECRET_HEADERS | {
            header.name.lower()
            for flow in plan.flows
            for step in flow.steps
            for header in step.headers
            if any(isinstance(part, SecretPart) or is_secret_value(part, flow.slots) for part in header.value)
        }
        self._values: dict[str, list[str]] = {}
        self._everywhere: list[str] = []
        for slot, value in secrets.items():
            self.learn(slot, value)

    def learn(self, slot: str, value: str) -> None:
        """Mask this value of `slot` from now on, in addition to earlier ones."""
        forms = _forms(value)
        values = self._values.setdefault(slot, [])
        values.extend(form for form in forms if form not in values)
        # Longest first: one secret may be the prefix of another.
        everywhere = {form for values in self._values.values() for form in values if len(form) >= _SHORTEST}
        self._everywhere = sorted(everywhere, key=len, reverse=True)

    def with_values(self, values: Iterable[str]) -> Masker:
        """Return a masker that masks these values, too: the secrets of one user."""
        masker = copy(self)
        forms = {form for value in values for form in _forms(value) if len(form) >= _SHORTEST}
        masker._everywhere = sorted({*self._everywhere, *forms}, key=len, reverse=True)
        return masker

    def header(self, name: str, value: str) -> str:
        """Mask the value of a header, completely if its name is on the list."""
        return MASK if name.lower() in self._headers else value

    def text(self, text: str) -> str:
        """Mask any text."""
        return _masked(text, self._everywhere)

    def request_text(self, text: str, slots: Iterable[str]) -> str:
        """Mask a part of a request that was rendered from `slots`, whose values are masked however short they are."""
        short = [value for slot in slots for value in self._values.get(slot, ()) if len(value) < _SHORTEST]
        return _masked(_masked(text, self._everywhere), short)


def _forms(value: str) -> set[str]:
    """Return a value in each encoding in which it may be sent or echoed."""
    forms = {encoded(value, encoding) for encoding in Encoding}
    # A body that is echoed inside JSON is escaped twice.
    forms.add(encoded(encoded(value, Encoding.JSON), Encoding.JSON))
    forms.discard("")
    return forms


def _masked(text: str, values: Iterable[str]) -> str:
    for value in values:
        if value in text:
            text = text.replace(value, MASK)
    return text
