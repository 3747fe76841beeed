"""The `Channel` protocol between the deliverer and its channels, with `Message` and `SendError`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Protocol

from atm.dataclass import dataclass

SEND_SECONDS = 15.0
"""How long one attempt may take."""


@dataclass(frozen=True, slots=True)
class Message:
    """A notification and its target. `target` is unmasked and must not be logged."""

    id: str
    document: Mapping[str, Any]
    target: Mapping[str, Any] = field(repr=False)


class SendError(Exception):
    """A failed attempt; its text gives the reason, without secrets."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final
        """Whether a retry is pointless."""


class Channel(Protocol):
    """A way to send messages."""

    async def send(self, message: Message, at: float) -> None:
        """Make one attempt to send; `at` is its Unix time. Raises SendError."""
        ...
