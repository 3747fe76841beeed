"""The longest path through a program: an upper bound of what one iteration costs. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from atm.plan.load_plan import Flow, Lane
from atm.plan.program import ChooseOp, JumpOp, LoopOp, Op, RequestOp, UnlessOp

_Cost = TypeVar("_Cost", int, float)


def longest_path(program: Sequence[Op], cost: Callable[[Op], _Cost]) -> _Cost:
    """Return the most that an iteration costs, each operation once for each round of the loops around it."""
    loops = [(op.to, index, op.times) for index, op in enumerate(program) if isinstance(op, LoopOp)]
    none = cost(JumpOp(0))
    longest = [none] * (len(program) + 1)
    for index in reversed(range(len(program))):
        op = program[index]
        rounds = 1
        for first, last, times in loops:
            rounds *= times if first <= index < last else 1
        following = longest[index + 1]
        if isinstance(op, JumpOp):
            following = longest[op.to]
        elif isinstance(op, UnlessOp):
            following = max(following, longest[op.to])
        elif isinstance(op, ChooseOp):
            following = max(longest[to] for to in op.to)
        longest[index] = cost(op) * rounds + following
    return longest[0]


def most_in_iteration(flows: Sequence[Flow], lane: Lane) -> int:
    """Return the most requests that an iteration of a lane sends; 1 for an endpoint."""
    programs = [flows[flow].program for flow in lane.flows]
    return max((most_requests(program) for program in programs if program), default=1)


def most_requests(program: Sequence[Op]) -> int:
    """Return the most requests that one iteration sends."""
    return longest_path(program, lambda op: int(isinstance(op, RequestOp)))
