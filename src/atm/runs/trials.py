"""Try a spec on the server: each trial in its own process, limited in number and in time."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from atm import child_process
from atm.dataclass import dataclass
from atm.engine.executor import new_run_id
from atm.errors import AtmError, CredentialError, EngineError, Problem
from atm.models.run_figures import CheckFigures, ExceptionFigures
from atm.models.samples import TriedStep
from atm.plan.compile import CompiledTest
from atm.runs.job import Job

log = logging.getLogger("atm.runs")

LONGEST_SECONDS = 60.0
GRACE_SECONDS = 5.0
"""How long a trial may continue after its time limit before it is killed."""
MOST_AT_ONCE = 4
"""Limit for each worker process of a server."""


class TrialTimeoutError(AtmError):
    """Not all endpoints responded in time."""


class TooManyTrialsError(AtmError):
    """The limit of concurrent trials is reached."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What the requests of a spec came to, each sent once; of a step in a loop, its first request."""

    exchanges: list[TriedStep]
    """In the order of the spec, secrets masked."""
    checks: list[CheckFigures]
    """Of every request, those of further rounds of a loop included."""
    exceptions: list[ExceptionFigures]
    """Those that ended iterations of code."""


class Trials:
    """The trials of one server process."""

    def __init__(
        self,
        directory: Path,
        *,
        seconds: float = LONGEST_SECONDS,
        grace_seconds: float = GRACE_SECONDS,
        most: int = MOST_AT_ONCE,
    ) -> None:
        """`directory` is the working directory of the trial processes."""
        self._directory = directory
        self._seconds = seconds
        self._grace = grace_seconds
        self._most = most
        self.in_progress = 0

    async def run(self, test: CompiledTest) -> Trial:
        """Send one request to each endpoint, or run one iteration of each scenario.

        Raises TooManyTrialsError, TrialTimeoutError, CredentialError (also for an unreachable target) when no request
        could be sent, and EngineError.
        """
        if self.in_progress >= self._most:
            what = f"{self._most} trials are in progress on this server, which is its limit"
            raise TooManyTrialsError(Problem(what, "too_many_tries", hint="try again in a moment"))
        trial_id = new_run_id()
        outcome = "failed"
        began = time.monotonic()
        self.in_progress += 1
        try:
            trial = await self._run(test, trial_id)
            outcome = f"{len(trial.exchanges)} exchanges"
            return trial
        except AtmError as error:
            outcome = error.problems[0].code
            raise
        finally:
            self.in_progress -= 1
            took = time.monotonic() - began
            log.info(
                "try %s of %r: %d endpoints, %s, %.1f s", trial_id, test.plan.name, len(test.plan.flows), outcome, took
            )

    async def _run(self, test: CompiledTest, trial_id: str) -> Trial:
        job = Job(trial_id, "", "", test, {}, max_seconds=self._seconds)
        process = await child_process.start_async(
            "atm.runs.trial_process",
            directory=self._directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(self._seconds + self._grace):
                output, errors = await process.communicate(job.to_bytes())
        except TimeoutError:
            raise self._timed_out() from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        if process.returncode != 0 or not output:
            log.error("try %s: its process ended with %s: %s", trial_id, process.returncode, errors.decode()[-2000:])
            raise EngineError(Problem("the process that tried the spec died", "engine_died"))
        return self._read(json.loads(output))

    def _read(self, result: dict[str, object]) -> Trial:
        if result.get("timed_out"):
            raise self._timed_out()
        if "failed" in result:
            documents = result["problems"]
            assert isinstance(documents, list)
            problems = [Problem(**problem) for problem in documents]
            raise (CredentialError if result["failed"] == "target" else EngineError)(problems)
        exchanges, checks, exceptions = result["exchanges"], result["checks"], result["exceptions"]
        assert isinstance(exchanges, list)
        assert isinstance(checks, list)
        assert isinstance(exceptions, list)
        return Trial(
            [TriedStep.model_validate(exchange) for exchange in exchanges],
            [CheckFigures(**check) for check in checks],
            [ExceptionFigures(**group) for group in exceptions],
        )

    def _timed_out(self) -> TrialTimeoutError:
        what = f"not all endpoints responded within {self._seconds:g} s"
        return TrialTimeoutError(Problem(what, "try_timed_out"))
