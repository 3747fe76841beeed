"""A request of a traced iteration that has ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from atm.engine.asyncio_engine.ledger.iteration_sampler import ExtractedValue
from atm.engine.asyncio_engine.ledger.sampler import SampledRequest
from atm.engine.asyncio_engine.scenario.value import UNSET, text_form
from atm.engine.asyncio_engine.users.scenario_step import Judgement, ScenarioStep
from atm.engine.asyncio_engine.users.session import Session
from atm.engine.asyncio_engine.users.trace import TracedResponse
from atm.models.outcome import Outcome


class SentRequest(SampledRequest, Protocol):
    """The request in flight, as it was sent."""

    data: bytes
    hops: int


class TracedRequest:
    """Refers to what was sent, which is only written again for a sample."""

    __slots__ = (
        "_data",
        "_judgement",
        "_rendered",
        "_secrets",
        "_step",
        "_template",
        "actual",
        "destination",
        "endpoint",
        "finish",
        "intended",
        "is_warm_up",
        "message",
        "number",
        "outcome",
        "position",
        "response",
    )

    def __init__(
        self,
        request: SentRequest,
        step: ScenarioStep,
        session: Session,
        response: TracedResponse | None,
        judgement: Judgement | None,
    ) -> None:
        """`judgement` is that of a full response. Set `outcome`, `message` and `finish` afterwards."""
        self._step = step
        self._template = step.template
        self._data = request.data
        self._rendered = None if request.hops else session.rendered
        self._secrets = step.secret_slots_of(session)
        self._judgement = judgement
        self.number = request.number
        self.position = request.position
        self.intended = request.intended
        self.actual = request.actual
        self.endpoint = request.endpoint
        self.is_warm_up = request.is_warm_up
        self.destination = request.destination
        self.response = response
        self.outcome = Outcome.OK
        self.message = ""
        self.finish = 0

    @property
    def request(self) -> SampledRequest:
        return self

    @property
    def slots(self) -> frozenset[str]:
        return self._step.slots

    @property
    def shown(self) -> bytes:
        data = self._data if self._rendered is None else self._template.masked(self._rendered)
        return self._step.readable(data)

    @property
    def secret_values(self) -> Sequence[str]:
        return (*(self._template.secret_values(self._rendered) if self._rendered else ()), *self._secrets)

    @property
    def checks(self) -> Sequence[tuple[int, bool]]:
        return self._judgement.checks if self._judgement else ()

    @property
    def values(self) -> list[ExtractedValue]:
        """The variables that the response set."""
        slots = self._step.variables
        return [
            ExtractedValue(slots[slot].name, None if value is UNSET else text_form(value), slots[slot].is_secret)
            for slot, value in (self._judgement.values if self._judgement else ())
        ]
