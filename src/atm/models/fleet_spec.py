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
    min_workers: int | None = declared(
        PROCESSES,
        "Workers that are enough for the start if not all are ready; by default all have to be.",
        default=None,
        examples=[6],
    )
    on_loss: Literal["abort", "continue", "reassign"] = declared(
        Choice("abort", "continue", "reassign"),
        "When a worker is lost: stop the run; continue without its part, whose requests count as missed; or let the "
        "others send what of it is due later (open loads only).",
        default="abort",
    )

    @property
    def size(self) -> int:
        """The number of workers; 0 if the load is sent from one process without workers."""
        return self.workers or self.processes or 0

    def _fill(self, data: Mapping[str, Any] | None, path: Path, findings: Findings) -> None:
        super()._fill(data, path, findings)
        # A wrong value is reported once: it is not missing, too.
        given = data or {}
        if self.on is not None and self.processes is not None:
            what = "`processes` are on this machine, and `on` names a cluster"
            findings.add((*path, "processes"), what, "conflict", "Remove one of them; on a cluster, write `workers`")
        elif self.on is not None and given.get("workers") is None:
            what = "the number of workers on the cluster is missing"
            findings.add((*path, "workers"), what, "missing_field", "Write `workers`, or `--workers N`")
        elif given.get("on") is None and self.workers is not None:
            what = "`workers` are on a cluster, which `on` names"
            findings.add(
                (*path, "on"), what, "missing_field", "Write `on`, or `--on ray://HOST:PORT`; here, write `processes`"
            )
        name = "processes" if given.get("on") is None else "workers"
        count = getattr(self, name) or 1
        is_wrong = given.get(name) is not None and getattr(self, name) is None
        if self.min_workers is not None and self.min_workers > count and not is_wrong:
            what = f"`min_workers` is {self.min_workers}, and the run has {count}"
            findings.add((*path, "min_workers"), what, "conflict", "Write a lower number")
