"""Trying a spec on a server: each try in a process of its own, few at once, and none longer than its limit."""

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
from atm.engine.executor import new_run_id
from atm.errors import AtmError, CredentialError, EngineError, Problem
from atm.models.run import SampledExchange
from atm.plan.compile import CompiledTest
from atm.runs.job import Job

log = logging.getLogger("atm.runs")

LONGEST_SECONDS = 60.0
GRACE_SECONDS = 5.0
"""How long a try may go on after its time is over before it is killed."""
MOST_AT_ONCE = 4
"""For each worker of a server."""


class TrialTimeoutError(AtmError):
    """The endpoints did not all answer in time."""


class TooManyTrialsError(AtmError):
    """As many tries as there may be are under way."""


class Trials:
    """The tries of one process of a server."""

    def __init__(
        self,
        directory: Path,
        *,
        seconds: float = LONGEST_SECONDS,
        grace_seconds: float = GRACE_SECONDS,
        most: int = MOST_AT_ONCE,
    ) -> None:
        """`directory` is where its processes work."""
        self._directory = directory
        self._seconds = seconds
        self._grace = grace_seconds
        self._most = most
        self.under_way = 0

    async def run(self, test: CompiledTest) -> list[SampledExchange]:
        """One request to each endpoint, with what came back, secrets masked.

        Raises TooManyTrialsError, TrialTimeoutError, CredentialError and UnreachableError (as CredentialError) where
        nothing could be sent, and EngineError.
        """
        if self.under_way >= self._most:
            what = f"{self._most} specs are being tried here at the moment, and more are not tried at once"
            raise TooManyTrialsError(Problem(what, "too_many_tries", hint="try again in a moment"))
        number = new_run_id()
        said = "failed"
        began = time.monotonic()
        self.under_way += 1
        try:
            exchanges = await self._run(test, number)
            said = f"{len(exchanges)} answers"
            return exchanges
        except AtmError as error:
            said = error.problems[0].code
            raise
        finally:
            self.under_way -= 1
            took = time.monotonic() - began
            log.info("try %s of %r: %d endpoints, %s, %.1f s", number, test.plan.name, len(test.plan.flows), said, took)

    async def _run(self, test: CompiledTest, number: str) -> list[SampledExchange]:
        job = Job(number, "", "", test, {}, max_seconds=self._seconds)
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
                output, complaint = await process.communicate(job.to_bytes())
        except TimeoutError:
            raise self._timed_out() from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        if process.returncode != 0 or not output:
            log.error("try %s: its process ended with %s: %s", number, process.returncode, complaint.decode()[-2000:])
            raise EngineError(Problem("the process that tried the spec died", "engine_died"))
        return self._read(json.loads(output))

    def _read(self, answer: dict[str, object]) -> list[SampledExchange]:
        if answer.get("timed_out"):
            raise self._timed_out()
        if "failed" in answer:
            given = answer["problems"]
            assert isinstance(given, list)
            problems = [Problem(**problem) for problem in given]
            raise (CredentialError if answer["failed"] == "target" else EngineError)(problems)
        exchanges = answer["exchanges"]
        assert isinstance(exchanges, list)
        return [SampledExchange.model_validate(exchange) for exchange in exchanges]

    def _timed_out(self) -> TrialTimeoutError:
        what = f"the endpoints did not all answer within {self._seconds:g} s"
        return TrialTimeoutError(Problem(what, "try_timed_out"))
