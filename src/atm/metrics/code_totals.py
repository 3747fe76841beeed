"""Add up what scenarios in code report over a run: exceptions by their message, blocking calls by their place."""

from __future__ import annotations

from collections.abc import Sequence

from atm.dataclass import dataclass
from atm.metrics.code_interval import BlockingGroup, CodeInterval, RaisedGroup
from atm.models.outline import ScenarioSteps
from atm.models.run_figures import BlockingFigures, ExceptionFigures

MOST_GROUPS = 100
"""Most distinct messages or places over a run; others are counted together."""
MOST_TRACEBACKS = 10
OTHER = "others"


@dataclass(slots=True)
class _Exceptions:
    count: int
    first_ns: int
    last_ns: int
    traceback: str


class CodeTotals:
    """The exceptions of measured iterations and the blocking calls so far."""

    def __init__(self) -> None:
        self._exceptions: dict[tuple[int, str], _Exceptions] = {}
        self._blocking: dict[tuple[int, str], list[int]] = {}
        self._tracebacks = 0

    def add(self, code: CodeInterval) -> None:
        """Add one second."""
        for group in code.exceptions:
            if not group.warm_up:
                self._add_exception(group)
        for blocked in code.blocking:
            self._add_blocking(blocked)

    def _add_exception(self, group: RaisedGroup) -> None:
        key = (group.scenario, group.message)
        if key not in self._exceptions and len(self._exceptions) >= MOST_GROUPS:
            key = (group.scenario, OTHER)
        total = self._exceptions.setdefault(key, _Exceptions(0, group.first_ns, group.last_ns, ""))
        total.count += group.count
        total.first_ns = min(total.first_ns, group.first_ns)
        total.last_ns = max(total.last_ns, group.last_ns)
        if group.traceback and not total.traceback and self._tracebacks < MOST_TRACEBACKS and key[1] != OTHER:
            self._tracebacks += 1
            total.traceback = group.traceback

    def _add_blocking(self, blocked: BlockingGroup) -> None:
        key = (blocked.scenario, blocked.place)
        if key not in self._blocking and len(self._blocking) >= MOST_GROUPS:
            key = (blocked.scenario, OTHER)
        total = self._blocking.setdefault(key, [0, 0])
        total[0] += blocked.count
        total[1] += blocked.total_ns

    def exceptions(self, scenarios: Sequence[ScenarioSteps]) -> list[ExceptionFigures]:
        """Return the exceptions, the most frequent first."""
        figures = [
            ExceptionFigures(
                scenario=_name(scenarios, scenario),
                message=message,
                count=total.count,
                first_seconds=total.first_ns / 1e9,
                last_seconds=total.last_ns / 1e9,
                traceback=total.traceback,
            )
            for (scenario, message), total in self._exceptions.items()
        ]
        return sorted(figures, key=lambda each: (-each.count, each.first_seconds))

    def blocking(self, scenarios: Sequence[ScenarioSteps]) -> list[BlockingFigures]:
        """Return the blocking calls, the longest in total first."""
        figures = [
            BlockingFigures(scenario=_name(scenarios, scenario), place=place, count=count, seconds=total_ns / 1e9)
            for (scenario, place), (count, total_ns) in self._blocking.items()
        ]
        return sorted(figures, key=lambda each: -each.seconds)


def _name(scenarios: Sequence[ScenarioSteps], scenario: int) -> str:
    return scenarios[scenario].name if 0 <= scenario < len(scenarios) else ""
