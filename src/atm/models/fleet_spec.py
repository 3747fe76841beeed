"""The `fleet` of a spec: on how many worker processes a run is sent."""

from __future__ import annotations

from typing import Literal

from atm.models.field_types import Choice, Number
from atm.models.fields import SpecModel, declared

PROCESSES = Number(least=1, most=1024, whole=True)


class FleetSpec(SpecModel):
    """One run on several worker processes, which send one schedule together."""

    processes: int | None = declared(
        PROCESSES, "Number of worker processes on this machine.", default=None, examples=[2]
    )
    on_loss: Literal["abort", "continue"] = declared(
        Choice("abort", "continue"),
        "When a worker is lost: stop the run, or go on without its part, whose requests count as missed.",
        default="abort",
    )
