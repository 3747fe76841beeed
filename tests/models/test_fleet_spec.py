"""The `fleet` of a spec: processes here or workers on a cluster, and which clusters a server allows."""

from __future__ import annotations

from typing import Any

import pytest

from atm.config import Settings
from atm.errors import SpecError
from atm.plan.compile import compile_plan
from atm.plan.document import SpecDocument
from atm.plan.overrides import Overrides, with_overrides
from atm.runs.policy import Policy


def spec(**fleet: Any) -> dict[str, Any]:
    return {"name": "fleet", "url": "http://127.0.0.1:1/", "total_requests": 10, "fleet": fleet}


@pytest.mark.parametrize(
    ("fleet", "code", "path"),
    [
        ({"on": "ray:local", "workers": 2, "processes": 2}, "conflict", "fleet.processes"),
        ({"on": "ray:local"}, "missing_field", "fleet.workers"),
        ({"workers": 2}, "missing_field", "fleet.on"),
        ({"on": "head:10001", "workers": 2}, "invalid_fleet_address", "fleet.on"),
        ({"on": 5, "workers": 2}, "wrong_type", "fleet.on"),
        ({"on": "ray:local", "workers": 0}, "out_of_range", "fleet.workers"),
        ({"on": "ray:local", "workers": 0, "min_workers": 2}, "out_of_range", "fleet.workers"),
        ({"on": "ray:local", "workers": 2, "min_workers": 3}, "conflict", "fleet.min_workers"),
    ],
)
def test_what_does_not_fit_together_is_one_problem_of_the_spec(fleet: dict[str, Any], code: str, path: str) -> None:
    with pytest.raises(SpecError) as caught:
        compile_plan(spec(**fleet), {})
    assert [(problem.code, problem.path) for problem in caught.value.problems] == [(code, path)]


def test_flags_replace_processes_by_a_cluster_and_a_cluster_by_processes() -> None:
    here, there = SpecDocument(spec(processes=3)), SpecDocument(spec(on="ray://head", workers=2))
    changed = compile_plan(with_overrides(here, Overrides(on="ray:local", workers=4)), {}).spec.fleet
    assert changed is not None
    assert (changed.processes, changed.on, changed.workers) == (None, "ray:local", 4)
    changed = compile_plan(with_overrides(there, Overrides(processes=5)), {}).spec.fleet
    assert changed is not None
    assert (changed.processes, changed.on, changed.workers) == (5, None, None)


def test_flags_set_what_is_enough_to_start_and_what_happens_on_a_loss() -> None:
    written = SpecDocument(spec(processes=3, on_loss="abort"))
    changed = compile_plan(with_overrides(written, Overrides(min_workers=2, on_loss="continue")), {}).spec.fleet
    assert changed is not None
    assert (changed.processes, changed.min_workers, changed.on_loss) == (3, 2, "continue")
    with pytest.raises(SpecError) as caught:
        compile_plan(with_overrides(written, Overrides(min_workers=4, on_loss="ignore")), {})
    assert {problem.place for problem in caught.value.problems} == {"--min-workers", "--on-loss"}


def test_a_server_runs_on_the_clusters_that_its_settings_name() -> None:
    fleet = spec(on="ray://head", workers=2)
    with pytest.raises(SpecError) as caught:
        Policy.of(Settings()).compile(fleet, {}, 1)
    [problem] = caught.value.problems
    assert (problem.code, problem.path) == ("cluster_not_allowed", "fleet.on")
    assert "ATM_FLEET_CLUSTERS" in problem.hint
    allowed = Policy.of(Settings(fleet_clusters=("ray://head:10001",))).compile(fleet, {}, 1).spec.fleet
    assert allowed is not None
    # The default port is written out, so that one cluster has one name.
    assert allowed.on == "ray://head:10001"
