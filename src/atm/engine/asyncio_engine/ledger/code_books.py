"""What scenarios in code use and report in the current second: names, reached endpoints, exceptions."""

from __future__ import annotations

from collections.abc import Sequence

from atm.engine.asyncio_engine.ledger.masker import Masker
from atm.metrics.code_interval import (
    NO_CODE,
    AnnouncedCheck,
    AnnouncedEndpoint,
    BlockingGroup,
    CodeInterval,
    RaisedGroup,
)
from atm.plan.load_plan import LoadPlan

MOST_ENDPOINTS = 500
"""Most names of requests in one scenario; further ones are counted together."""
MOST_CHECKS = 1_000
"""Most names of checks in one run."""
MOST_MESSAGES = 100
"""Most distinct messages of exceptions in one second."""


class _Reached:
    """Ended iterations of one flow, warm-up or measured load, with the endpoints that they used."""

    __slots__ = ("before", "by_endpoint", "ended")

    def __init__(self) -> None:
        self.before = 0
        """Ended before this second."""
        self.ended = 0
        """Ended in this second."""
        self.by_endpoint: dict[int, int] = {}
        """Of `ended`, by endpoint: those that used it."""


class CodeBooks:
    """The names of all scenarios in code, by flow, and what this second adds."""

    def __init__(self, plan: LoadPlan, masker: Masker) -> None:
        self._masker = masker
        self._endpoints: dict[int, dict[str, int]] = {
            flow: {plan.endpoints[step.endpoint]: step.endpoint for step in planned.steps}
            for flow, planned in enumerate(plan.flows)
            if planned.code
        }
        self._planned = {endpoint for names in self._endpoints.values() for endpoint in names.values()}
        """Those of the plan that no request has used."""
        self._others = {flow: plan.flows[flow].steps[0].endpoint for flow in self._endpoints}
        self._next = len(plan.endpoints)
        self.checks = {(check.name, check.endpoint): index for index, check in enumerate(plan.checks)}
        """The indices of checks by name and endpoint, those announced included."""
        self._reached = {(flow, warm_up): _Reached() for flow in self._endpoints for warm_up in (True, False)}
        self._new_endpoints: list[AnnouncedEndpoint] = []
        self._new_checks: list[AnnouncedCheck] = []
        self._exceptions: dict[tuple[int, bool, str], list[int]] = {}
        self._tracebacks: dict[tuple[int, bool, str], str] = {}
        self._reported: set[tuple[int, str]] = set()
        self._blocking: dict[tuple[int, str], list[int]] = {}

    @property
    def endpoints(self) -> int:
        """Number of endpoints, those announced included."""
        return self._next

    def endpoint(self, flow: int, name: str, method: str, url: str) -> int:
        """Return the endpoint of a name in a flow, new or known; beyond the limit, the one for others."""
        name, url = self._masker.text(name), self._masker.text(url)
        names = self._endpoints[flow]
        index = names.get(name)
        if index is None:
            if len(names) > MOST_ENDPOINTS:
                return self._others[flow]
            index = names[name] = self._next
            self._next += 1
            self._new_endpoints.append(AnnouncedEndpoint(index, flow, name, method, url))
        elif index in self._planned:
            self._planned.remove(index)
            self._new_endpoints.append(AnnouncedEndpoint(index, flow, name, method, url))
        return index

    def new_check(self, name: str, endpoint: int) -> int | None:
        """Return the index of a check that is used first; None beyond the limit."""
        if len(self.checks) >= MOST_CHECKS:
            return None
        index = self.checks[name, endpoint] = len(self.checks)
        self._new_checks.append(AnnouncedCheck(index, self._masker.text(name), endpoint))
        return index

    def ended(self, flow: int, used: Sequence[int], *, is_warm_up: bool) -> None:
        """Count an ended iteration that has used these endpoints, each once."""
        reached = self._reached[flow, is_warm_up]
        reached.ended += 1
        for endpoint in used:
            reached.by_endpoint[endpoint] = reached.by_endpoint.get(endpoint, 0) + 1

    def raised(self, flow: int, message: str, traceback: str, at: int, *, is_warm_up: bool) -> None:
        """Count an exception that ended an iteration at a time in the run (ns)."""
        key = (flow, is_warm_up, message)
        if key not in self._exceptions and len(self._exceptions) >= MOST_MESSAGES:
            key = (flow, is_warm_up, "other exceptions")
        group = self._exceptions.setdefault(key, [0, at, at])
        group[0] += 1
        group[2] = at
        if traceback and (flow, message) not in self._reported and len(self._reported) < MOST_MESSAGES:
            self._reported.add((flow, message))
            self._tracebacks[key] = traceback

    def wants_traceback(self, flow: int, message: str) -> bool:
        """Return whether no traceback of this kind was reported."""
        return (flow, message) not in self._reported and len(self._reported) < MOST_MESSAGES

    def blocked(self, flow: int, place: str, duration: int) -> None:
        """Count a blocking call (ns)."""
        group = self._blocking.setdefault((flow, place), [0, 0])
        group[0] += 1
        group[1] += duration

    def not_reached(self) -> dict[tuple[int, bool], int]:
        """Return for each endpoint, warm-up or not, how many iterations ended in this second without it.

        An endpoint that is announced in this second gets those that ended before, too.
        """
        new = {endpoint.index for endpoint in self._new_endpoints}
        counts: dict[tuple[int, bool], int] = {}
        for (flow, warm_up), reached in self._reached.items():
            for endpoint in self._endpoints[flow].values():
                if endpoint in self._planned:
                    continue
                count = reached.ended - reached.by_endpoint.get(endpoint, 0)
                if endpoint in new:
                    count += reached.before
                if count:
                    counts[endpoint, warm_up] = count
            reached.before += reached.ended
            reached.ended = 0
            reached.by_endpoint.clear()
        return counts

    def _traceback(self, key: tuple[int, bool, str]) -> str:
        return self._masker.text(self._tracebacks.get(key, ""))

    def take(self) -> CodeInterval:
        """Return what this second has added."""
        if not (self._new_endpoints or self._new_checks or self._exceptions or self._blocking):
            return NO_CODE
        taken = CodeInterval(
            tuple(sorted(self._new_endpoints, key=lambda endpoint: endpoint.index)),
            tuple(self._new_checks),
            tuple(
                RaisedGroup(key[0], key[1], self._masker.text(key[2]), count, first, last, self._traceback(key))
                for key, (count, first, last) in self._exceptions.items()
            ),
            tuple(BlockingGroup(*blocked, count, total) for blocked, (count, total) in self._blocking.items()),
        )
        self._new_endpoints = []
        self._new_checks = []
        self._exceptions = {}
        self._tracebacks = {}
        self._blocking = {}
        return taken
