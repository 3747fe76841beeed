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


def deal(plan: LoadPlan, count: int, from_ns: int) -> list[LoadPlan]:
    """Return what at most `count` others send instead of a lost worker, from `from_ns` since the start of the run.

    `plan` is that of the lost worker. Its residues and its limits in flight are divided; fewer plans are returned if a
    limit is too low for all.
    """
    share = plan.share
    limits = [lane.load.max_in_flight for lane in plan.lanes if lane.load.max_in_flight is not None]
    parts = max(min([count, MOST_RESIDUES // share.of, *limits]), 1)
    from_ns = max(from_ns, share.from_ns)
    pieces = []
    for part in range(parts):
        residues = tuple(residue + share.of * part for residue in share.residues)
        lanes = tuple(_with_part_of_limit(lane, part, parts) for lane in plan.lanes)
        pieces.append(replace(plan, share=Share(residues, share.of * parts, from_ns), lanes=lanes))
    return pieces


def _with_part_of_limit(lane: Lane, part: int, parts: int) -> Lane:
    limit = lane.load.max_in_flight
    if limit is None:
        return lane
    return replace(lane, load=replace(lane.load, max_in_flight=limit // parts + (part < limit % parts)))


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


def part_of_load(plan: LoadPlan, share: Share) -> float:
    """Return the part of a share of the load of a whole plan, 0..1; users are divided as whole ones."""
    parts = [
        _divide(users, [share])[0] / users if lane.load.model == "closed" and (users := _peak(lane)) else share.part
        for lane in plan.lanes
    ]
    return sum(parts) / len(parts)


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
    return _divide(_peak(lane), shares)


def _peak(lane: Lane) -> int:
    """Return the most users of the measured load."""
    return max(int(max(max(segment.start, segment.end) for segment in lane.load.segments) + 0.5), 1)


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
