"""Shares of a plan: which arrivals, users and numbers each has, and that all have them together."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice, pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from atm.plan.load_plan import Load, LoadPlan, Segment
from atm.plan.pacer import SECOND, Pacer, peak_users, user_changes
from atm.plan.plan_decoder import decode
from atm.plan.share import MOST_SHARES, WHOLE, Share
from tests.contract.plans import plan
from tests.strategies import shares


@given(shares(), st.integers(0, 200))
def test_every_index_belongs_to_one_share(dealt: tuple[Share, ...], below: int) -> None:
    assert sum(share.part for share in dealt) == pytest.approx(1)
    assert sum(share.count(below) for share in dealt) == below
    taken = [share.index(serial) for share in dealt for serial in range(share.count(below))]
    assert sorted(taken) == list(range(below))
    for share in dealt:
        own = [index for index in range(below) if share.has(index)]
        assert own == [index for index in range(below) if index % share.of in share.residues]
        assert own == [share.index(serial) for serial in range(len(own))]


@pytest.mark.parametrize(
    ("residues", "of"),
    [((), 1), ((0,), 0), ((1,), 1), ((1, 1), 3), ((2, 1), 3), ((-1,), 3), ((0, 3), 3), ((0,), MOST_SHARES + 1)],
)
def test_what_is_no_share_is_refused(residues: tuple[int, ...], of: int) -> None:
    with pytest.raises(ValueError, match="is not a share"):
        Share(residues, of)


def test_a_share_travels_with_its_plan() -> None:
    made = replace(plan(()), share=Share((0, 3), 5))
    assert decode(LoadPlan, json.loads(made.to_bytes())) == made
    assert decode(LoadPlan, json.loads(plan(()).to_bytes())).share == WHOLE


levels = st.one_of(st.just(0.0), st.integers(1, 300).map(float))
stages = st.lists(st.builds(Segment, levels, levels, st.integers(1, SECOND)), min_size=1, max_size=4).map(tuple)
loads = st.builds(
    Load,
    st.just("open"),
    stages,
    warm_up_ns=st.sampled_from([0, 1, SECOND // 3]),
    warm_up_level=levels,
    arrival=st.sampled_from(["even", "poisson"]),
)


@example(dealt=(Share((0,), 1),), load=Load("open", (Segment(190.0, 190.0, SECOND),)), seed=0, total=1)
@given(dealt=shares(), load=loads, seed=st.integers(0, 2**64 - 1), total=st.one_of(st.none(), st.integers(1, 200)))
def test_together_the_shares_have_the_arrivals_of_one(
    dealt: tuple[Share, ...], load: Load, seed: int, total: int | None
) -> None:
    pacer = Pacer(load, seed)
    last = None if total is None else pacer.warm_up_arrivals + total
    expected = list(islice(pacer.arrivals(), last))
    found = []
    for share in dealt:
        arrivals = Pacer(load, seed).arrivals(share, total)
        # The only share has all arrivals, also after the last one that counts.
        own = list(islice(arrivals, last) if share.of == 1 else arrivals)
        if last is not None and len(expected) == last:
            # Each share also knows when the last of all is due.
            assert own[-1] == expected[-1]
        assert all(one < other for one, other in pairwise(own))
        found += [arrival for arrival in own if share.has(arrival[0] - 1)]
    assert sorted(found) == expected


@given(stages, st.sampled_from([0, SECOND // 3]), levels)
def test_the_peak_is_the_most_users_of_any_time(segments: tuple[Segment, ...], warm_up: int, level: float) -> None:
    load = Load("closed", segments, warm_up_ns=warm_up, warm_up_level=level)
    assert max(users for _, users in user_changes(load)) <= peak_users(load)
    flat = replace(load, segments=tuple(replace(each, end=each.start) for each in segments))
    assert max(users for _, users in user_changes(flat)) == peak_users(flat)
