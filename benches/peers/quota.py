"""An equal share of CPU time for every client: a kernel control group with a bandwidth limit.

Slices are 10 ms long, so that a client is throttled for a few milliseconds at a time, not for a tenth of a second.
Stopping and continuing a process with signals is not equivalent and not used: without a control group, these rows say
so.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from benches.measure import MeasurementError

_ROOT = Path("/sys/fs/cgroup")
PERIOD_MICROSECONDS = 10_000


class Quota:
    """Context manager of a control group limited to `share` of one core. `path` is its directory."""

    def __init__(self, share: float) -> None:
        self._microseconds = round(PERIOD_MICROSECONDS * share)
        self.path = Path()
        self.kind = ""
        """The kernel interface (version of cgroups), for the raw output."""

    def __enter__(self) -> Self:
        reasons = []
        for kind, make in (("cgroup v2 cpu.max", self._version_2), ("cgroup v1 cpu.cfs_quota_us", self._version_1)):
            try:
                self.path = make()
            except OSError as error:
                reasons.append(f"{kind}: {error}")
            else:
                self.kind = kind
                return self
        raise MeasurementError(f"no control group with a CPU quota is available ({'; '.join(reasons)})")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.path.rmdir()

    def _version_2(self) -> Path:
        control = _ROOT / "cgroup.subtree_control"
        if "cpu" not in (_ROOT / "cgroup.controllers").read_text(encoding="utf-8").split():
            raise OSError("the controller cpu is not there")
        if "cpu" not in control.read_text(encoding="utf-8").split():
            control.write_text("+cpu", encoding="utf-8")
        return self._made(_ROOT, {"cpu.max": f"{self._microseconds} {PERIOD_MICROSECONDS}"})

    def _version_1(self) -> Path:
        limits = {"cpu.cfs_period_us": str(PERIOD_MICROSECONDS), "cpu.cfs_quota_us": str(self._microseconds)}
        return self._made(_ROOT / "cpu", limits)

    @staticmethod
    def _made(parent: Path, limits: dict[str, str]) -> Path:
        group = parent / f"atm-peers-{os.getpid()}"
        group.mkdir()
        try:
            for name, value in limits.items():
                (group / name).write_text(value, encoding="utf-8")
        except OSError:
            group.rmdir()
            raise
        return group
