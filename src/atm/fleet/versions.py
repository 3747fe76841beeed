"""Which versions must be the same here and at every worker."""

from __future__ import annotations

from atm.errors import Problem
from atm.fleet.messages import Description

SAME_VERSION = "Install the same version of api-test-machine, in the same Python, here and on all nodes"
"""The hint of every difference."""


def mismatch(here: Description, name: str, there: Description) -> Problem | None:
    """Return which versions of a worker differ from those here, so that it might send or count differently."""
    pairs = [
        ("atm", here.version, there.version),
        ("plan format", str(here.plan_format), str(there.plan_format)),
        ("Python", minor(here.python), minor(there.python)),
        *((f"engine {engine}", here.engines.get(engine, ""), there.engines.get(engine, ""))
          for engine in sorted({*here.engines, *there.engines})),
    ]  # fmt: skip
    differences = [
        f"{thing} {theirs or 'is missing'} (here {ours or 'missing'})"
        for thing, ours, theirs in pairs
        if ours != theirs
    ]
    if not differences:
        return None
    return Problem(
        f"{name} differs: {', '.join(differences)}",
        "worker_version",
        hint=SAME_VERSION,
    )


def minor(python: str) -> str:
    """Return the first two numbers of a version of Python, up to which Ray needs it the same."""
    return ".".join(python.split(".")[:2])
