"""The `fleet` of a spec: on how many worker processes a run is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from atm.errors import SpecError
from atm.models.field_types import Boolean, Choice, Number, Parsed, WrongValueError
from atm.models.fields import Findings, Path, SpecModel, declared
from atm.models.ray_address import parse_ray_address

PROCESSES = Number(least=1, most=1024, whole=True)


def _address(value: Any) -> str:
    if not isinstance(value, str):
        raise WrongValueError("must be text such as ray://head:10001", "wrong_type")
    try:
        return str(parse_ray_address(value))
    except SpecError as error:
        [problem] = error.problems
        raise WrongValueError(problem.what, problem.code, problem.hint) from error


class FleetSpec(SpecModel):
    """One run on several worker processes, which send one schedule together."""

    processes: int | None = declared(
        PROCESSES, "Number of worker processes on this machine.", default=None, examples=[2]
    )
    on: str | None = declared(
        Parsed(_address, {"type": "string"}),
        "Ray cluster, with a worker on each of its nodes: `ray://HOST:PORT`, or `ray:local` for one started here.",
        default=None,
        examples=["ray://head:10001"],
    )
    workers: int | None = declared(PROCESSES, "Number of workers on the cluster.", default=None, examples=[8])
    allow_open_cluster: bool = declared(
        Boolean(), "Use a cluster on another machine although it demands no token.", default=False
    )
    on_loss: Literal["abort", "continue"] = declared(
        Choice("abort", "continue"),
        "When a worker is lost: stop the run, or continue without its part, whose requests count as missed.",
        default="abort",
    )

    @property
    def size(self) -> int:
        """The number of workers; 0 if the load is sent from one process without workers."""
        return self.workers or self.processes or 0

    def _fill(self, data: Mapping[str, Any] | None, path: Path, findings: Findings) -> None:
        super()._fill(data, path, findings)
        if self.on is not None and self.processes is not None:
            what = "`processes` are on this machine, and `on` names a cluster"
            findings.add((*path, "processes"), what, "conflict", "Remove one of them; on a cluster, write `workers`")
        elif self.on is not None and self.workers is None:
            what = "the number of workers on the cluster is missing"
            findings.add((*path, "workers"), what, "missing_field", "Write `workers`, or `--workers N`")
        elif self.on is None and self.workers is not None:
            what = "`workers` are on a cluster, which `on` names"
            findings.add(
                (*path, "on"), what, "missing_field", "Write `on`, or `--on ray://HOST:PORT`; here, write `processes`"
            )
