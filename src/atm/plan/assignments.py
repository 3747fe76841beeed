"""Find variables that are read before a step can have set them, by following the paths through a scenario."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field

from atm.dataclass import dataclass
from atm.plan.program import All, Comparison, Condition, Negation
from atm.plan.template_parts import SlotSource


@dataclass(slots=True)
class Assigned:
    """The slots that are set at one point of a scenario, by index."""

    always: set[int] = field(default_factory=set)
    """Set on every path to this point."""
    sometimes: set[int] = field(default_factory=set)
    """Set on at least one."""

    def copy(self) -> Assigned:
        """Return a copy, for a branch."""
        return Assigned(set(self.always), set(self.sometimes))

    def set(self, slots: Iterable[int], *, surely: bool) -> None:
        """Record slots that a step sets; not `surely` if the iteration continues without."""
        slots = list(slots)
        self.sometimes.update(slots)
        if surely:
            self.always.update(slots)

    def join(self, branches: Iterable[Assigned]) -> None:
        """Continue where several branches meet."""
        branches = list(branches)
        self.always = set.intersection(*(branch.always for branch in branches))
        self.sometimes = set.union(*(branch.sometimes for branch in branches))

    def learn(self, condition: Condition | None, *, holds: bool) -> None:
        """Record what a condition says about variables, where it holds or does not: `token exists`."""
        if condition is not None:
            self.always |= _set_if(condition, holds=holds)


def _set_if(condition: Condition, *, holds: bool) -> set[int]:
    if isinstance(condition, Negation):
        return _set_if(condition.part, holds=not holds)
    if isinstance(condition, Comparison):
        value = condition.subject.value
        if value is None or not isinstance(value.source, SlotSource):
            return set()
        return {value.source.slot} if (condition.operator != "missing") == holds else set()
    parts = [_set_if(part, holds=holds) for part in condition.parts]
    return set.union(*parts) if isinstance(condition, All) == holds else set.intersection(*parts)


def tested_slots(condition: Condition | None) -> frozenset[int]:
    """Return the slots that a condition tests with `exists` or `missing`."""
    if condition is None:
        return frozenset()
    if isinstance(condition, Negation):
        return tested_slots(condition.part)
    if not isinstance(condition, Comparison):
        return frozenset().union(*(tested_slots(part) for part in condition.parts))
    value = condition.subject.value
    if condition.operator not in ("exists", "missing") or value is None or not isinstance(value.source, SlotSource):
        return frozenset()
    return frozenset({value.source.slot})
