"""A request of a traced iteration that has ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from atm.engine.asyncio_engine.ledger.endpoint_figures import EndpointFigures
from atm.engine.asyncio_engine.ledger.iteration_sampler import ExtractedValue
from atm.engine.asyncio_engine.ledger.sampler import SampledRequest, SampledResponse
from atm.engine.asyncio_engine.scenario.value import UNSET, text_form
from atm.engine.asyncio_engine.users.scenario_step import Judgement, ScenarioStep
from atm.engine.asyncio_engine.users.sent_step import SentStep
from atm.engine.asyncio_engine.users.session import Session
from atm.models.outcome import Outcome


class SentRequest(SampledRequest, Protocol):
    """The request in flight, as it was sent."""

    data: bytes
    hops: int

    @property
    def figures(self) -> EndpointFigures: ...

    @property
    def step(self) -> SentStep: ...


class TracedRequest:
    """What every request keeps; one of code has no more."""

    __slots__ = (
        "actual",
        "checks",
        "data",
        "destination",
        "figures",
        "finish",
        "intended",
        "message",
        "number",
        "outcome",
        "position",
        "response",
        "step",
    )

    def __init__(
        self,
        request: SentRequest,
        number: int,
        position: int,
        response: SampledResponse | None,
        outcome: Outcome,
        message: str,
        finish: int,
        checks: Sequence[tuple[int, bool]],
    ) -> None:
        """`checks` are the run's that judged the response, and whether each passed; code may add to them later."""
        self.data = request.data
        self.number = number
        self.position = position
        self.intended = request.intended
        self.actual = request.actual
        self.figures = request.figures
        self.step = request.step
        self.destination = request.destination
        self.response = response
        self.outcome = outcome
        self.message = message
        self.finish = finish
        self.checks = checks

    @property
    def request(self) -> SampledRequest:
        return self

    @property
    def endpoint(self) -> int:
        return self.figures.endpoint

    @property
    def is_warm_up(self) -> bool:
        return self.figures.warm_up

    @property
    def slots(self) -> frozenset[str]:
        return self.step.slots

    @property
    def shown(self) -> bytes:
        return self.data

    @property
    def secret_values(self) -> Sequence[str]:
        return ()

    @property
    def values(self) -> Sequence[ExtractedValue]:
        """The variables that the response set."""
        return ()


class TracedStep(TracedRequest):
    """A request of a step: refers to what it was rendered from, and is only written again for a sample."""

    __slots__ = ("_judgement", "_rendered", "_secrets", "_step", "_template")

    def __init__(
        self,
        request: SentRequest,
        step: ScenarioStep,
        session: Session,
        response: SampledResponse | None,
        judgement: Judgement | None,
        outcome: Outcome,
        message: str,
        finish: int,
    ) -> None:
        """`judgement` is that of a full response."""
        checks = judgement.checks if judgement else ()
        super().__init__(request, request.number, request.position, response, outcome, message, finish, checks)
        self._step = step
        self._template = step.template
        self._rendered = None if request.hops else session.rendered
        self._secrets = step.secret_slots_of(session)
        self._judgement = judgement

    def hide(self, values: Sequence[str]) -> None:
        """Mask these values, too: the request was written from them."""
        self._secrets = [*self._secrets, *values]

    @property
    def shown(self) -> bytes:
        data = self.data if self._rendered is None else self._template.masked(self._rendered)
        return self._step.readable(data)

    @property
    def secret_values(self) -> Sequence[str]:
        return (*(self._template.secret_values(self._rendered) if self._rendered else ()), *self._secrets)

    @property
    def values(self) -> Sequence[ExtractedValue]:
        slots = self._step.variables
        return [
            ExtractedValue(slots[slot].name, None if value is UNSET else text_form(value), slots[slot].is_secret)
            for slot, value in (self._judgement.values if self._judgement else ())
        ]
