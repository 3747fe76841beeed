"""Join the operations that a user does once, before its first iteration, with those of its iterations."""

from __future__ import annotations

from dataclasses import replace

from atm.plan.load_plan import Flow
from atm.plan.program import ChooseOp, JumpOp, LoopOp, Op, RequestOp, UnlessOp


def joined(flow: Flow) -> tuple[tuple[Op, ...], int]:
    """Return the operations of a flow with a program, and the index at which an iteration starts.

    Those before an iteration come first, and a jump to the end ends them.
    """
    if not flow.before_user:
        return flow.program, 0
    start = len(flow.before_user) + 1
    end = JumpOp(start + len(flow.program))
    return (*flow.before_user, end, *(shifted(op, start) for op in flow.program)), start


def in_each_iteration(flow: Flow) -> Flow:
    """Return the flow whose iterations begin with what its users would do before the first one."""
    start = len(flow.before_user)
    return replace(flow, before_user=(), program=(*flow.before_user, *(shifted(op, start) for op in flow.program)))


def shifted(op: Op, by: int) -> Op:
    """Return an operation that has moved by a number of places, with those that it may continue at."""
    if isinstance(op, JumpOp | UnlessOp | LoopOp):
        return replace(op, to=op.to + by)
    if isinstance(op, ChooseOp):
        return replace(op, to=tuple(to + by for to in op.to))
    return op


def steps_before(flow: Flow) -> frozenset[int]:
    """Return the indices of the steps that a user sends before its first iteration."""
    return frozenset(op.step for op in flow.before_user if isinstance(op, RequestOp))
