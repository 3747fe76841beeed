"""The exceptions of `locust.exception`: some steer a user, others say what went wrong."""

from __future__ import annotations


class LocustError(Exception):
    """A mistake in the use of the library."""


class ResponseError(Exception):
    """Raised by tasks in a `with` block of a request: the request has failed."""


class CatchResponseError(Exception):
    """The reason that `response.failure(…)` was given."""


class MissingWaitTimeError(LocustError):
    """Neither the user nor the task set has a wait time."""


class InterruptTaskSet(Exception):  # noqa: N818
    """Ends a task set: the one around it continues, at once or after its wait time."""

    def __init__(self, reschedule: bool = True) -> None:
        super().__init__(reschedule)
        self.reschedule = reschedule


class StopTest(Exception):  # noqa: N818
    """Ends the whole test."""


class StopUser(Exception):  # noqa: N818
    """Ends this user."""


class RescheduleTask(Exception):  # noqa: N818
    """Ends a task, like `return`."""


class RescheduleTaskImmediately(Exception):  # noqa: N818
    """Ends a task; the next one follows without a wait time."""
