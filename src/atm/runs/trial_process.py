"""The process that tries a spec: send its requests once, and print exchanges and checks as one line of JSON.

It reads its job from standard input (one line). It is a separate process so that no spec can block or crash the server,
which kills it at the time limit.

Usage: python -m atm.runs.trial_process (started by the server)
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict, replace

from atm import entry_point
from atm.engine.executor import Execution
from atm.errors import AtmError, CredentialError, Problem, UnreachableError
from atm.models.samples import steps_tried
from atm.plan.try_plan import one_of_each, places
from atm.runs.job import Job


async def _try(job: Job) -> dict[str, object]:
    assert job.max_seconds is not None
    try:
        async with asyncio.timeout(job.max_seconds):
            execution = Execution(replace(job.test, plan=one_of_each(job.test.plan)))
            result = await execution.run()
    except TimeoutError:
        return {"timed_out": True}
    except AtmError as error:
        kind = "target" if isinstance(error, UnreachableError | CredentialError) else "engine"
        return {"failed": kind, "problems": [asdict(problem) for problem in error.problems]}
    if result.run.error and not result.samples and not result.exceptions:
        hint = result.setup.hint if result.setup else ""
        return {"failed": "engine", "problems": [asdict(Problem(result.run.error, "not_tried", hint=hint))]}
    place = places(job.test.plan, execution.collector.endpoints)
    steps = steps_tried(result.samples, result.sampled_iterations, result.requests_of_endpoints)
    steps = sorted(steps, key=lambda step: place[step.endpoint])
    return {
        "exchanges": [step.model_dump(mode="json") for step in steps],
        "checks": [asdict(check) for check in result.checks],
        "exceptions": [asdict(group) for group in result.exceptions],
    }


def main() -> int:
    """Read the job, run it, and print the result."""
    line = sys.stdin.buffer.readline()
    if line:
        sys.stdout.write(json.dumps(asyncio.run(_try(Job.from_bytes(line)))))
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    entry_point.run(main)
