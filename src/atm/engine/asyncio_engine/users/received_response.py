"""The response to a request of code: a copy of what the connection has read, which outlasts the connection's."""

from __future__ import annotations

from atm.code.response import Response
from atm.engine.asyncio_engine.ledger.endpoint_figures import EndpointFigures
from atm.engine.asyncio_engine.ledger.ledger import Ledger
from atm.engine.asyncio_engine.responses import CHECKED_BYTES, decoded, response_head, text_of
from atm.engine.asyncio_engine.transport.exchange import Response as Answer
from atm.models.outcome import Outcome


class ReceivedResponse(Response):
    """What code sees of a response, and the sampler and the traces, too."""

    __slots__ = (
        "_body",
        "_is_decoded",
        "_ledger",
        "body_bytes",
        "checks",
        "figures",
        "first_byte",
        "head_status",
        "raw",
        "received",
    )

    head_status: int | None
    """The status code, None while the head is incomplete."""

    def __init__(
        self,
        ledger: Ledger,
        figures: EndpointFigures,
        answer: Answer | None,
        url: str,
        status: int,
        outcome: Outcome,
        message: str,
        elapsed: float,
    ) -> None:
        """`status` is 0 without a full response, of which `answer` is the part that was received."""
        super().__init__(url, status, outcome, message, elapsed)
        self._ledger = ledger
        self.figures = figures
        self.checks: list[tuple[int, bool]] = []
        """The run's checks that judged it, and whether each passed."""
        if answer is not None and answer.received:
            self._is_decoded = not answer.is_encoded
            self.first_byte = answer.first_byte
            self.received = answer.received
            self.body_bytes = answer.body_bytes
            self.head_status = status or answer.head_status
            self.raw = answer.raw
            self._body = answer.body
        else:
            self._is_decoded = True
            self.first_byte = self.received = self.body_bytes = 0
            self.head_status = None
            self.raw = self._body = b""

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        return len(self.raw) + len(self._body)

    def _content(self) -> bytes:
        if not self._is_decoded:
            self._is_decoded = True
            encoding = response_head(self.raw).get("content-encoding")
            if encoding:
                self._body = decoded(self._body, encoding, CHECKED_BYTES)
        return self._body

    def _header_lines(self) -> tuple[tuple[str, str], ...]:
        return response_head(self.raw).headers if self.raw else ()

    def _text(self) -> str:
        return text_of(self._content(), response_head(self.raw).get("content-type") if self.raw else None)

    def _count_check(self, name: str, is_passed: bool) -> None:
        figures = self.figures
        index = self._ledger.count_code_check(name, figures.endpoint, passed=is_passed, is_warm_up=figures.warm_up)
        if index is not None:
            self.checks.append((index, is_passed))
