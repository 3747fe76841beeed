"""Choose how a test is run: in this process, or on the workers that its `fleet` names."""

from __future__ import annotations

from atm.engine.base import Control
from atm.engine.choose import choose_engine
from atm.engine.executor import Execution
from atm.fleet.transport import Transport
from atm.plan.compile import CompiledTest


def execution_of(
    test: CompiledTest, *, run_id: str = "", control: Control | None = None, other_run: str = ""
) -> Execution:
    """Return the execution of a test; arguments as for `Execution`. Raises CapabilityError as that does."""
    fleet = test.spec.fleet
    if fleet is None or (fleet.processes is None and fleet.on is None):
        return Execution(test, run_id=run_id, control=control, other_run=other_run)
    from atm.fleet.fleet_engine import FleetEngine
    from atm.fleet.local_processes import LocalProcesses
    from atm.fleet.records import OnLoss
    from atm.models.ray_address import parse_ray_address

    engine, reason = choose_engine(test.plan)
    transport: Transport
    if fleet.on is not None:
        from atm.fleet.ray_transport import RayTransport

        transport = RayTransport(parse_ray_address(fleet.on), allow_open=fleet.allow_open_cluster)
        count = fleet.workers or 1
        where = f"on {count} {'worker' if count == 1 else 'workers'} of {fleet.on}"
    else:
        transport = LocalProcesses()
        count = fleet.processes or 1
        where = f"in {count} {'process' if count == 1 else 'processes'}"
    return Execution(
        test,
        run_id=run_id,
        control=control,
        other_run=other_run,
        engine=FleetEngine(engine, transport, count, on_loss=OnLoss(fleet.on_loss), min_workers=fleet.min_workers),
        engine_reason=f"{reason}, {where}",
    )
