"""Whether others can send the rest of a lost worker's load, as `fleet.on_loss: reassign` demands."""

from __future__ import annotations

from atm.models.fields import Findings
from atm.models.spec import TestSpec
from atm.plan.load_plan import LoadPlan


def check_reassignment(spec: TestSpec, plan: LoadPlan, findings: Findings) -> None:
    """Report loads that nothing but their own worker can continue."""
    if spec.fleet is None or spec.fleet.on_loss != "reassign":
        return
    for lane in plan.lanes:
        if lane.load.model == "closed":
            why = "what the users of a lost worker did since its last report is unknown, so it might be sent twice"
        elif any(plan.flows[flow].code for flow in lane.flows):
            why = "each worker numbers the names of its code for itself"
        elif lane.prepared is not None:
            why = "the sessions of its users, made by `before_user`, are lost with their worker"
        else:
            continue
        findings.add(
            ("fleet", "on_loss"),
            f'the load of "{lane.name}" cannot be reassigned: {why}',
            "cannot_reassign",
            "Use an open load without `before_user` and code, or `on_loss: continue`",
        )
