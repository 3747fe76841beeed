"""The process that sends the load of one run: a fresh interpreter that knows no storage.

It reads its job from standard input (one line), then commands (`stop`, `cancel`, one per line), and appends raw events
to the spool; the recorder does all slower processing. When standard input ends, the recorder has died: the load is
cancelled, as it would not be recorded.

Usage: python -m atm.runs.runner_process (started by the recorder)
"""

from __future__ import annotations

import asyncio
import threading
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from atm import entry_point
from atm.clock import SystemClock
from atm.engine.base import Control
from atm.engine.executor import Execution
from atm.errors import AtmError
from atm.fleet.launch import execution_of
from atm.models.outcome import RunStatus, StopReason
from atm.runs import spool_lines
from atm.runs.control_pipe import CommandInput
from atm.runs.job import Job
from atm.runs.spool import NOT_WRITTEN, SpoolWriter, log_to_stderr

if TYPE_CHECKING:
    from atm.metrics.interval import Interval
    from atm.models.run import RunResult


class Runner:
    """Run one execution and write its events to the spool."""

    def __init__(self, job: Job, commands: CommandInput) -> None:
        """Raises OSError when the spool cannot be created."""
        self._job = job
        self._commands = commands
        self._clock = SystemClock()
        self._spool = SpoolWriter(Path(job.spool))
        self._lost = False
        self._control = Control()

    def run(self) -> int:
        """Run the job and return the exit code: 0 when everything is in the spool, else NOT_WRITTEN."""
        threading.Thread(target=self._listen, name="commands", daemon=True).start()
        try:
            execution = execution_of(
                self._job.test, run_id=self._job.run_id, control=self._control, other_run=self._job.other_run
            )
            result = asyncio.run(self._execute(execution))
            self._end(result.run.status, result.run.stop_reason, result.run.error, result)
        except AtmError as error:
            self._end(RunStatus.FAILED, StopReason.FAILED, "; ".join(problem.what for problem in error.problems))
        except Exception as error:  # noqa: BLE001 (outermost handler: the run must still get its end)
            log_to_stderr(traceback.format_exc())
            self._end(RunStatus.FAILED, StopReason.FAILED, f"unexpected {type(error).__name__} in the load process")
        return 0 if self._spool.close() else NOT_WRITTEN

    async def _execute(self, execution: Execution) -> RunResult:
        if self._job.max_seconds is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(self._job.max_seconds, self._control.stop, StopReason.DURATION)
        return await execution.run(self._second, on_start=partial(self._started, execution))

    def _started(self, execution: Execution) -> None:
        line = spool_lines.started(execution, self._clock.now())
        self._spool.write(lambda: line)

    def _second(self, interval: Interval) -> None:
        self._spool.write(partial(spool_lines.interval, interval, self._clock.now()))

    def _end(
        self, status: RunStatus, reason: StopReason | None, error: str | None, result: RunResult | None = None
    ) -> None:
        line = spool_lines.finished(self._clock.now(), status, reason, error, lost=self._lost, result=result)
        self._spool.write(lambda: line)

    def _listen(self) -> None:
        while command := self._commands.line():
            if command == b"stop\n":
                self._control.stop()
            elif command == b"cancel\n":
                self._control.cancel()
        self._lost = True
        self._control.cancel()


def main() -> int:
    """Read the job and run it."""
    commands = CommandInput()
    line = commands.line()
    return Runner(Job.from_bytes(line), commands).run() if line else 0


if __name__ == "__main__":
    entry_point.run(main)
