"""Splitting a plan: every residue once, limits divided exactly, and what cannot be split is refused with its reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.fleet.split import MOST_RESIDUES, shares_of, split, strengths_of
from atm.fleet.transport import FleetError
from atm.plan.connections import Origin
from atm.plan.load_plan import Load, LoadPlan
from atm.plan.share import WHOLE
from tests.contract.plans import closed, opened, plan, step
from tests.examples import examples

ORIGIN = Origin("http", "127.0.0.1", 1, addresses=("127.0.0.1",))
STRENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=17)


def made(load: Load, **fields: Any) -> LoadPlan:
    return plan(ORIGIN, step(), step(), load=load, **fields)


@given(strengths=STRENGTHS)
@examples(200)
def test_the_shares_have_every_residue_once_and_each_worker_its_part(strengths: list[int]) -> None:
    shares = shares_of(strengths)
    residues = sorted(residue for share in shares for residue in share.residues)
    assert residues == list(range(shares[0].of))
    for share, strength in zip(shares, strengths, strict=True):
        assert share.part == strength / sum(strengths)
        assert list(share.residues) == sorted(share.residues)


def test_equal_workers_have_one_residue_each_and_a_strong_one_is_spread() -> None:
    assert [share.residues for share in shares_of([4, 4, 4])] == [(0,), (1,), (2,)]
    first, second, third = shares_of([3, 2, 1])
    assert (first.residues, second.residues, third.residues) == ((0, 2, 5), (1, 4), (3,))


def test_a_worker_is_as_strong_as_its_cores() -> None:
    assert strengths_of([2, 2, 2]) == [1, 1, 1]
    assert strengths_of([96, 64, 32]) == [3, 2, 1]
    assert strengths_of([7, 13]) == [7, 13]


@given(cores=st.lists(st.integers(1, 512), min_size=1, max_size=2000))
@examples(50)
def test_the_strengths_of_many_machines_stay_within_what_engines_accept(cores: list[int]) -> None:
    strengths = strengths_of(cores)
    assert len(strengths) == len(cores)
    assert min(strengths) >= 1
    assert sum(strengths) <= MOST_RESIDUES


@given(strengths=STRENGTHS, users=st.integers(17, 500), total=st.integers(500, 10**6), limit=st.integers(200, 9999))
@examples(200)
def test_limits_of_the_run_are_divided_exactly(strengths: list[int], users: int, total: int, limit: int) -> None:
    users *= sum(strengths)
    parts = split(made(closed(users, max_rate=100.0), total=total * sum(strengths)), strengths)
    assert sum(part.lanes[0].total or 0 for part in parts) == total * sum(strengths)
    assert sum(part.lanes[0].load.max_rate or 0 for part in parts) == pytest.approx(100)
    parts = split(made(opened(50, max_in_flight=limit), total=7), strengths)
    assert sum(part.lanes[0].load.max_in_flight or 0 for part in parts) == limit
    assert [part.lanes[0].total for part in parts] == [7] * len(strengths)


def test_iterations_are_divided_by_users_so_that_all_workers_end_together() -> None:
    parts = split(made(closed(3), total=3000), [1, 1])
    assert [part.lanes[0].total for part in parts] == [2000, 1000]


def test_one_worker_has_the_plan_as_it_is() -> None:
    whole = made(closed(1), total=1, selection="sequential")
    assert split(whole, [8]) == [whole]
    assert whole.share == WHOLE


@pytest.mark.parametrize(
    ("refused", "code"),
    [
        (made(closed(10), total=9, selection="sequential"), "fleet_sequential"),
        (made(opened(10, max_in_flight=2), duration=1), "fleet_too_few"),
        (made(closed(2), total=100), "fleet_too_few"),
        (made(closed(9), total=2), "fleet_too_few"),
    ],
)
def test_what_cannot_be_split_is_refused_with_a_remedy(refused: LoadPlan, code: str) -> None:
    with pytest.raises(FleetError) as caught:
        split(refused, [1, 1, 1])
    assert [problem.code for problem in caught.value.problems] == [code]
    assert caught.value.problems[0].hint


def test_every_reason_is_listed() -> None:
    lane = made(closed(2), total=100, selection="sequential").lanes[0]
    twice = replace(made(closed(2)), lanes=(lane, lane))
    with pytest.raises(FleetError) as caught:
        split(twice, [1, 1, 1])
    assert len(caught.value.problems) == 4
