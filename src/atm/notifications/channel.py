"""The seam between the deliverer and the ways to send: what is sent, and how it may fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

SEND_SECONDS = 15.0
"""How long one attempt may take."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is told, and where to. `target` is whole: it holds secrets, and is not shown."""

    id: str
    document: Mapping[str, Any]
    target: Mapping[str, Any] = field(repr=False)


class SendError(Exception):
    """An attempt that failed; its text says why, without secrets."""

    def __init__(self, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.final = final
        """Whether another attempt could not go better."""


class Channel(Protocol):
    """One way to send."""

    async def send(self, message: Message, at: float) -> None:
        """One attempt, at that Unix time. Raises SendError."""
        ...
