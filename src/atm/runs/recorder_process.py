"""The process that keeps the history of one run: holds the lease, starts the runner, copies its spool to storage.

It lives in a session of its own, so that a run outlives the server that started it. It passes the job on to the runner
before it imports anything that takes time, and what it is told afterwards (a cancel in the first moments of the run)
while it imports. Storage being away is no reason to stop: the spool waits, and is replayed.

Usage: python -m atm.runs.recorder_process (the supervisor starts it, and writes job and commands to its standard input)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress

from atm import child_process
from atm.runs.control_pipe import CommandInput

NICE = 5
"""The load goes first: this process only has to be in time for people."""


def main() -> int:
    """Start the runner with the job of standard input, then record what it does."""
    commands = CommandInput()
    job = commands.line()
    if not job:
        return 0
    runner = child_process.start("atm.runs.runner_process", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert runner.stdin is not None
    # A broken pipe: it died before it had read its job, and the recording says so.
    with suppress(BrokenPipeError):
        runner.stdin.write(job)
        runner.stdin.flush()
    threading.Thread(target=_pass_on, args=(commands, runner.stdin.fileno()), name="commands", daemon=True).start()
    os.nice(NICE)
    import asyncio

    from atm.runs.recorder import Recorder

    document = json.loads(job)
    recording = Recorder(
        run_id=document["run_id"],
        token=document["token"],
        spool=document["spool"],
        settings=document["settings"],
        runner=runner,
        graceful_seconds=json.loads(document["plan"])["graceful_stop_ns"] / 1e9,
        max_seconds=document["max_seconds"],
    )
    return asyncio.run(recording.record())


def _pass_on(commands: CommandInput, runner: int) -> None:
    """Give the runner what comes until the input ends, as it does when the server has let go of the run."""
    with suppress(BrokenPipeError):  # the runner has ended by itself
        while command := commands.line():
            os.write(runner, command)


if __name__ == "__main__":
    sys.exit(main())
