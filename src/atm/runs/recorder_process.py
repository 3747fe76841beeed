"""The process that records one run: holds the lease, starts the runner, copies its spool to storage.

It runs in its own session, so that a run outlives the server that started it. It forwards the job to the runner before
any slow import, and forwards commands (an early cancel) while the imports run. During a storage outage the run
continues: the spool holds the data, and is replayed.

Usage: python -m atm.runs.recorder_process (the supervisor starts it, and writes job and commands to its standard input)
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from contextlib import suppress

from atm import child_process, entry_point
from atm.runs.control_pipe import CommandInput

NICE = 5
"""Lower priority than the runner: delays here only delay the live view, not the load."""


def main() -> int:
    """Start the runner with the job from standard input, then record its run."""
    commands = CommandInput()
    job = commands.line()
    if not job:
        return 0
    runner = child_process.start(
        "atm.runs.runner_process",
        variables=child_process.environment(*child_process.CLUSTER_PREFIXES),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert runner.stdin is not None
    # Broken pipe: the runner died before it read its job; the recorder reports that.
    with suppress(BrokenPipeError):
        runner.stdin.write(job)
        runner.stdin.flush()
    threading.Thread(target=_forward, args=(commands, runner.stdin.fileno()), name="commands", daemon=True).start()
    os.nice(NICE)
    import asyncio

    from atm.runs.recorder import Recorder

    document = json.loads(job)
    recorder = Recorder(
        run_id=document["run_id"],
        token=document["token"],
        spool=document["spool"],
        settings=document["settings"],
        runner=runner,
        graceful_seconds=json.loads(document["plan"])["graceful_stop_ns"] / 1e9,
        teardown_seconds=document["teardown"]["timeout_ns"] / 1e9 if document["teardown"] else 0.0,
        max_seconds=document["max_seconds"],
    )
    return asyncio.run(recorder.record())


def _forward(commands: CommandInput, runner: int) -> None:
    """Forward commands to the runner until the server closes the pipe."""
    with suppress(BrokenPipeError):  # the runner has exited
        while command := commands.line():
            os.write(runner, command)


if __name__ == "__main__":
    entry_point.run(main)
