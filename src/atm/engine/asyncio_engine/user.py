"""A virtual user: one request at a time, one connection per origin, and the course of the request that is under way."""

from __future__ import annotations

import asyncio
from time import monotonic_ns
from typing import TYPE_CHECKING

from atm.engine.asyncio_engine.timeouts import NEVER
from atm.models.outcome import Outcome

if TYPE_CHECKING:
    from atm.engine.asyncio_engine.connection import Connection
    from atm.engine.asyncio_engine.job import Job
    from atm.engine.asyncio_engine.run import Run
    from atm.metrics.recorder import Cell

REDIRECTS = frozenset({301, 302, 303, 307, 308})


class User:
    """Its fields hold the request in flight; `deadline` is NEVER while there is none. Times: ns, monotonic clock."""

    __slots__ = (
        "actual",
        "armed_at",
        "cell",
        "connections",
        "deadline",
        "dial",
        "has_redialled",
        "head_only",
        "hops",
        "intended",
        "job",
        "number",
        "origin",
        "received",
        "request",
        "run",
        "sent",
    )

    job: Job
    cell: Cell
    number: int
    intended: int
    actual: int
    origin: int
    request: bytes
    head_only: bool

    def __init__(self, run: Run) -> None:
        self.run = run
        self.connections: dict[int, Connection] = {}
        self.deadline = NEVER
        self.armed_at = NEVER
        self.dial: asyncio.Task[None] | None = None
        self.has_redialled = False
        self.hops = 0
        self.sent = 0
        self.received = 0

    @property
    def is_busy(self) -> bool:
        return self.deadline < NEVER

    def begin(self, number: int, job: Job, cell: Cell, intended: int, now: int) -> None:
        """Start request `number` at `now`."""
        run = self.run
        if now >= run.second_end:
            run.roll(now)
        cell.started += 1
        run.in_flight += 1
        self.number = number
        self.job = job
        self.cell = cell
        self.intended = intended
        self.actual = now
        self.head_only = job.head_only
        self.has_redialled = False
        self.hops = 0
        self.sent = 0
        self.received = 0
        self.deadline = deadline = now + job.timeout_ns
        if deadline < self.armed_at:
            run.arm(self, deadline)
        request = job.constant
        if request is None:
            request = job.render(number)
        self.request = request
        self.origin = origin = job.origin
        connection = self.connections.get(origin)
        if connection is None:
            self.dial = run.dialer.dial(self, origin)
        else:
            connection.send(self, request)

    def connected(self, connection: Connection) -> None:
        """The dial of the request that is under way has succeeded."""
        self.dial = None
        self.connections[connection.origin] = connection
        connection.send(self, self.request)

    def redial(self, origin: int) -> None:
        """The kept connection had been closed by the server: once more on a new one, which happens once per request."""
        self.has_redialled = True
        self.cell.redialled += 1
        self.cell.touched = True
        self.dial = self.run.dialer.dial(self, origin)

    def forget(self, connection: Connection) -> bool:
        """Whether `connection` was still this user's; it no longer is."""
        if self.connections.get(connection.origin) is connection:
            del self.connections[connection.origin]
            return True
        return False

    def answered(self, connection: Connection, now: int) -> None:
        """A full response has been read at `now`."""
        run = self.run
        job = self.job
        status = connection.status
        withheld = False
        if job.follows and status in REDIRECTS:
            withheld = run.redirects.withholds(self, connection, status)
            if not withheld and run.redirects.follow(self, connection, status):
                return
        if now >= run.second_end:
            run.roll(now)
        cell = self.cell
        response = now - self.intended
        if status not in job.expected:
            outcome, message = Outcome.UNEXPECTED_STATUS, job.unexpected(status, withheld=withheld)
        elif job.failed_check and (complaint := run.check(job, connection)):
            outcome, message = Outcome.CHECK_FAILED, complaint
        else:
            cell.answered_ok(status, response, now - self.actual, connection.first_byte - self.actual)
            if now > run.sending_end:
                cell.drained_ok += 1
            if response > run.sampler.slower_than[cell.endpoint]:
                run.sampler.keep_ok(self, connection, now)
            self._end(now)
            return
        at = now - run.epoch
        service = now - self.actual
        cell.answered_badly(outcome, message, status, response, service, connection.first_byte - self.actual, at)
        self._end_failed(outcome, message, now, connection)

    def failed(self, outcome: Outcome, message: str, now: int, connection: Connection | None = None) -> None:
        """The request has ended without a full response; `connection` is the one that something came from, if any."""
        run = self.run
        if now >= run.second_end:
            run.roll(now)
        if connection is not None:
            self.received += connection.received
        if outcome is Outcome.TIMEOUT:
            self.cell.gave_up(message, now - self.intended, now - self.actual, now - run.epoch)
        else:
            self.cell.ended(outcome, message, now - self.intended, now - run.epoch)
        self._end_failed(outcome, message, now, connection)

    def time_out(self, now: int) -> None:
        """The request has run out of time."""
        connection = self._let_go()
        self.failed(Outcome.TIMEOUT, self.job.timeout_message, now, connection)

    def leave_unfinished(self) -> None:
        """The run ends while the request is in flight."""
        connection = self._let_go()
        if connection is not None:
            self.received += connection.received
        self.cell.left_unfinished()
        self._count()
        self.run.in_flight -= 1
        self.deadline = NEVER

    def close(self) -> None:
        """Close every connection; for a user without a request."""
        for connection in list(self.connections.values()):
            connection.abandon()

    def _let_go(self) -> Connection | None:
        """Stop the dial or the exchange that is under way; the connection of the latter, which is closed."""
        if self.dial is not None:
            self.dial.cancel()
            self.dial = None
            return None
        connection = self.connections.get(self.origin)
        if connection is not None:
            connection.abandon()
        return connection

    def _end_failed(self, outcome: Outcome, message: str, now: int, connection: Connection | None) -> None:
        run = self.run
        if now > run.sending_end and outcome is not Outcome.GENERATOR_ERROR:
            self.cell.drained_failed += 1
        run.sampler.keep_failed(self, connection, outcome, message, now)
        self._end(now, backs_off=outcome is Outcome.GENERATOR_ERROR)

    def _end(self, now: int, *, backs_off: bool = False) -> None:
        run = self.run
        self._count()
        run.in_flight -= 1
        run.last_finish = now
        self.deadline = NEVER
        if backs_off:
            run.model.user_failed(self, monotonic_ns())
        else:
            run.model.user_free(self, monotonic_ns())

    def _count(self) -> None:
        cell = self.cell
        cell.bytes_sent += self.sent
        cell.bytes_received += self.received
        if self.hops:
            cell.redirect_hops += self.hops
