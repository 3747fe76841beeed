"""Split a plan into the plans of several workers, which together send what one engine would send."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import gcd

from atm.errors import Problem
from atm.fleet.transport import FleetError
from atm.models.figures import counted
from atm.plan.load_plan import Lane, LoadPlan, Share

MOST_RESIDUES = 10_000
"""What the engines accept."""


def split(plan: LoadPlan, strengths: Sequence[int]) -> list[LoadPlan]:
    """Return a plan for each worker. `strengths` are their relative parts of the load, such as their cores.

    Limits of the whole run (iterations of the closed model, `max_rate`, `max_in_flight`) are divided too. Raises
    FleetError, with every reason, for a plan that cannot be split among them.
    """
    if len(strengths) == 1:
        return [plan]
    shares = shares_of(strengths)
    problems = [problem for lane in plan.lanes for problem in _refusals(lane, shares)]
    if problems:
        raise FleetError(problems)
    lanes = [_divided(lane, shares) for lane in plan.lanes]
    return [
        replace(plan, share=share, lanes=tuple(parts[worker] for parts in lanes)) for worker, share in enumerate(shares)
    ]


def strengths_of(cores: Sequence[int]) -> list[int]:
    """Return the relative strength of each worker by its cores, in numbers small enough for the residues of a plan."""
    divisor = gcd(*cores)
    strengths = [count // divisor for count in cores]
    if sum(strengths) <= MOST_RESIDUES:
        return strengths
    scale = MOST_RESIDUES / (sum(strengths) + len(strengths))
    return [max(int(strength * scale), 1) for strength in strengths]


def shares_of(strengths: Sequence[int]) -> list[Share]:
    """Return the share of each worker; the residues of a strong one are spread evenly, so that it never fires alone."""
    divisor = gcd(*strengths)
    parts = [strength // divisor for strength in strengths]
    of = sum(parts)
    residues: list[list[int]] = [[] for _ in parts]
    # Smooth weighted round robin: the worker that is furthest behind its part takes the next residue.
    behind = [0] * len(parts)
    for residue in range(of):
        behind = [debt + part for debt, part in zip(behind, parts, strict=True)]
        chosen = max(range(len(parts)), key=lambda worker: (behind[worker], -worker))
        behind[chosen] -= of
        residues[chosen].append(residue)
    return [Share(tuple(taken), of) for taken in residues]


def _refusals(lane: Lane, shares: Sequence[Share]) -> list[Problem]:
    count = len(shares)
    problems: list[Problem] = []
    if lane.selection == "sequential" and len(lane.flows) > 1:
        problems.append(
            Problem(
                "`distribution_strategy: sequential` cannot be split among workers: its barriers need all users",
                "fleet_sequential",
                path="distribution_strategy",
                hint="Run it in one process (`--processes 1`), or use `round_robin` or `weighted`",
            )
        )
    limit = lane.load.max_in_flight
    if lane.load.model == "open" and limit is not None and min(_divide(limit, shares)) < 1:
        problems.append(_too_few(f"{counted(limit, 'request')} in flight at most", count, "a higher limit in flight"))
    if lane.load.model == "closed" and lane.total is not None:
        users = _users(lane, shares)
        if min(users) < 1:
            problems.append(_too_few(counted(sum(users), "user"), count, "more users"))
        elif min(_apportion(lane.total, users)) < 1:
            problems.append(_too_few(counted(lane.total, "iteration"), count, "more iterations"))
    return problems


def _too_few(what: str, count: int, more: str) -> Problem:
    return Problem(
        f"{what} cannot be split among {count} workers", "fleet_too_few", hint=f"Use fewer workers, or {more}"
    )


def _divided(lane: Lane, shares: Sequence[Share]) -> list[Lane]:
    load = lane.load
    rates = [None if load.max_rate is None else load.max_rate * share.part for share in shares]
    limits = [None] * len(shares) if load.max_in_flight is None else _divide(load.max_in_flight, shares)
    totals: Sequence[int | None] = [lane.total] * len(shares)
    if load.model == "closed" and lane.total is not None:
        # By users rather than by share: with 3 users on 2 workers, both are to end at about the same time.
        totals = _apportion(lane.total, _users(lane, shares))
    return [
        replace(lane, total=total, load=replace(load, max_rate=rate, max_in_flight=limit))
        for total, rate, limit in zip(totals, rates, limits, strict=True)
    ]


def _users(lane: Lane, shares: Sequence[Share]) -> list[int]:
    """Return the most users of each worker in the measured load."""
    peak = max(max(segment.start, segment.end) for segment in lane.load.segments)
    return _divide(max(int(peak + 0.5), 1), shares)


def _divide(count: int, shares: Sequence[Share]) -> list[int]:
    """Return how many of `count` numbers, from 0, are in each share."""
    return [sum((count - residue + share.of - 1) // share.of for residue in share.residues) for share in shares]


def _apportion(count: int, weights: Sequence[int]) -> list[int]:
    """Divide `count` by weight; the remainder goes to the largest fractions, among equal ones to the first."""
    whole = sum(weights)
    parts = [count * weight // whole for weight in weights]
    by_fraction = sorted(range(len(weights)), key=lambda index: (-(count * weights[index] % whole), index))
    for index in by_fraction[: count - sum(parts)]:
        parts[index] += 1
    return parts
