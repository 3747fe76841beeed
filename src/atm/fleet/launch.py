"""Choose how a test is run: in this process, or on the workers that its `fleet` names."""

from __future__ import annotations

from atm.engine.base import Control
from atm.engine.choose import choose_engine
from atm.engine.executor import Execution
from atm.plan.compile import CompiledTest


def execution_of(
    test: CompiledTest, *, run_id: str = "", control: Control | None = None, other_run: str = ""
) -> Execution:
    """Return the execution of a test; arguments as for `Execution`. Raises CapabilityError as that does."""
    fleet = test.spec.fleet
    processes = fleet.processes if fleet else None
    if fleet is None or processes is None:
        return Execution(test, run_id=run_id, control=control, other_run=other_run)
    from atm.fleet.fleet_engine import FleetEngine
    from atm.fleet.local_processes import LocalProcesses
    from atm.fleet.state import OnLoss

    engine, reason = choose_engine(test.plan)
    noun = "process" if processes == 1 else "processes"
    return Execution(
        test,
        run_id=run_id,
        control=control,
        other_run=other_run,
        engine=FleetEngine(engine, LocalProcesses(), processes, on_loss=OnLoss(fleet.on_loss)),
        engine_reason=f"{reason}, in {processes} {noun}",
    )
