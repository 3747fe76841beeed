"""The traces of a lane's iterations: a limited number at the same time."""

from __future__ import annotations

from atm.engine.asyncio_engine.ledger.iteration_sampler import EndedIteration, IterationSampler
from atm.engine.asyncio_engine.users.session import Session
from atm.engine.asyncio_engine.users.trace import MOST_TRACES, Trace
from atm.engine.asyncio_engine.users.user import Iteration


class Traces:
    """Begins the traces of iterations that may be sampled, and passes on those that have ended."""

    def __init__(self, sampler: IterationSampler) -> None:
        self._sampler = sampler
        self._in_use = 0

    def begin(self, flow: int, *, is_warm_up: bool) -> Trace | None:
        """Return the trace of an iteration that begins; None if it cannot be sampled or too many are traced."""
        if self._in_use == MOST_TRACES or not self._sampler.may_want(flow, is_warm_up=is_warm_up):
            return None
        self._in_use += 1
        return Trace()

    def end(self, iteration: Iteration, session: Session, finish: int, *, is_completed: bool) -> None:
        """End the trace of an iteration."""
        trace, session.trace = session.trace, None
        assert trace is not None
        self._in_use -= 1
        finish = max(finish, iteration.intended)
        has_failure = trace.has_failure or not is_completed
        active = max(finish - iteration.intended - session.think_ns, 0)
        reason = self._sampler.wanted(
            iteration.flow, iteration.number, active, is_completed=is_completed, has_failure=has_failure
        )
        if reason is not None:
            self._sampler.keep(
                EndedIteration(
                    flow=iteration.flow,
                    number=iteration.number,
                    user=session.user,
                    intended=iteration.intended,
                    finish=finish,
                    think=session.think_ns,
                    is_completed=is_completed,
                    requests=trace.requests,
                    left_out=trace.left_out,
                ),
                reason,
            )
