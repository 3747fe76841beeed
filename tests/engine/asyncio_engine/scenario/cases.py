"""The shared cases as answers, and the user whose values they read."""

from __future__ import annotations

from typing import Any

from atm.engine.asyncio_engine.scenario.answer import Answer
from atm.engine.asyncio_engine.scenario.scope import Context
from atm.engine.asyncio_engine.scenario.value import UNSET, Value
from tests.vectors import vectors

EVALUATION = vectors("evaluation")
_SCOPE = EVALUATION["scope"]
_SLOTS = 100
CONTEXT = Context(_SCOPE["seed"], _SCOPE["secrets"], lambda: _SCOPE["wall_ns"])


class CaseUser:
    """The user of the shared cases."""

    user: int = _SCOPE["user"]
    iteration: int = _SCOPE["iteration"]
    round: int = _SCOPE["round"]

    def __init__(self) -> None:
        self.slots: list[Value] = [_SCOPE["slots"].get(str(slot), UNSET) for slot in range(_SLOTS)]

    def cell(self, table: int, column: int, place: int) -> Value:  # noqa: ARG002  (no table of theirs is per use)
        return _SCOPE["rows"][table][column]


def body_of(case: dict[str, Any]) -> bytes:
    """The body of an answer or a document."""
    return bytes.fromhex(case["body_hex"]) if "body_hex" in case else str(case["body"]).encode()


def answer_to(
    body: bytes, *, status: int = 200, headers: list[list[str]] | None = None, time_ns: int = 0, size: int | None = None
) -> Answer:
    """A full response."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers or [])
    raw = f"HTTP/1.1 {status} Reason\r\n{lines}\r\n".encode("latin-1")
    return Answer(status=status, time_ns=time_ns, size=len(body) if size is None else size, raw=raw + body, body=body)


def answer_of(name: str) -> Answer:
    """An answer of the shared cases."""
    case = EVALUATION["answers"][name]
    body = body_of(case)
    if "size" not in case:
        return answer_to(body, status=case["status"], headers=case["headers"], time_ns=case.get("time_ns", 0))
    padded = body.ljust(case["size"])
    return answer_to(padded, status=case["status"], headers=case["headers"], time_ns=case["time_ns"])
