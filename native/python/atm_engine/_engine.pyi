from typing import Final, final

__all__ = ["PLAN_FORMAT", "PlanRefused", "Run", "capabilities", "check", "version"]

version: Final[str]
"""Of this engine."""

PLAN_FORMAT: Final[int]
"""The `format` of the plans that this engine reads; another one is refused."""

capabilities: Final[list[str]]
"""The names of `atm.engine.base.Capability` that a plan for this engine may need."""

class PlanRefused(Exception):  # noqa: N818  # a verdict on the plan, which the caller turns into an error
    """The plan cannot be run by this engine; the message says why."""

def check(plan: bytes) -> None:
    """Raise PlanRefused, with the reason, for a plan that `Run` would refuse whatever the secrets are."""

@final
class Run:
    """A run that has been started. Forgetting it cancels it."""

    def __new__(
        cls,
        plan: bytes,
        secrets: dict[str, str],
        *,
        threads: int | None = None,
        most_threads: int | None = None,
        starts_at_ns: int | None = None,
    ) -> Run:
        """Start a plan (the bytes of `LoadPlan.to_bytes`).

        `threads` of each lane that may have several; None chooses by the load, and then all lanes together have at most
        `most_threads` (None: half of the cores) and at least one each.
        `starts_at_ns` of the monotonic clock is the time zero of the run; None for at once.

        Raises PlanRefused for bytes that are no plan, a plan that needs more than `capabilities`, or a missing secret.
        """

    def next_interval(self, timeout_seconds: float) -> bytes | None:
        """Return the next second (the bytes that `Interval.from_bytes` reads), waiting at most `timeout_seconds`.

        None when there is none yet, and when all were delivered: then `report` is not None. Raises ValueError for a
        negative or unreasonable timeout.
        """

    def stop(self) -> None:
        """No new starts; what is in flight may finish within the plan's graceful stop."""

    def cancel(self) -> None:
        """No new starts, and every connection closed within 100 ms."""

    def set_secret(self, slot: str, value: str) -> None:
        """Requests rendered from now on use `value`. Raises PlanRefused for one that cannot stand there."""

    def report(self) -> bytes | None:
        """How the run ended, as a JSON object; None while it runs or while intervals wait for delivery."""
