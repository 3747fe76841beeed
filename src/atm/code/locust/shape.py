"""Load shapes: a locustfile's function from time to users, as the stages of a load."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from atm.code.locust.environment import Runner
from atm.code.module import last_line

LONGEST_SECONDS = 24 * 3600
"""A shape that has not ended by then has no end."""


class LoadTestShape:
    """Derive from this class and write `tick`: it returns users and spawn rate, or None at the end."""

    abstract: ClassVar[bool] = True
    use_common_options: ClassVar[bool] = False
    runner: Runner | None = None

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        cls.abstract = bool(vars(cls).get("abstract", False))

    def __init__(self) -> None:
        self._seconds = 0.0
        self._users = 0

    def get_run_time(self) -> float:
        """Return the seconds since the start of the run."""
        return self._seconds

    def reset_time(self) -> None:
        """Begin again at 0: only before the run."""
        self._seconds = 0.0

    def get_current_user_count(self) -> int:
        """Return how many users there are."""
        return self._users

    def tick(self) -> Any:
        """Return users and spawn rate, or None at the end; to override."""
        raise NotImplementedError


def users_by_second(shape: LoadTestShape, runner: Runner) -> list[int]:
    """Return the users at the end of each second that a shape lasts.

    `tick` is called once for each second before the run, as Locust would call it during the run; `runner` tells it how
    many users there are. Raises ValueError for a shape that raises, names user classes or does not end.
    """
    users: list[int] = []
    current = 0.0
    shape.runner = runner
    try:
        for second in range(LONGEST_SECONDS):
            shape._seconds = float(second)
            shape._users = runner.user_count = round(current)
            wanted = _tick(shape, second)
            if wanted is None:
                return users
            target, rate = wanted
            runner.target_user_count = round(target)
            current = min(target, current + rate) if target > current else max(target, current - rate)
            users.append(round(current))
    finally:
        runner.user_count = runner.target_user_count = 0
    raise ValueError("tick() does not return None within 24 hours: return None where the test ends")


def _tick(shape: LoadTestShape, second: int) -> tuple[float, float] | None:
    """Return the users and the spawn rate that a shape wants at a second; None at its end."""
    try:
        wanted = shape.tick()
    except Exception as error:
        path = Path(type(shape).tick.__code__.co_filename)
        place = f"{path.name}:{last_line(error.__traceback__, path)}"
        raise ValueError(
            f"tick() raised {type(error).__name__} ({place}) at {second} s: {error}. It is called before the run, once "
            "for each second"
        ) from error
    if wanted is None:
        return None
    if isinstance(wanted, tuple | list) and len(wanted) > 2 and wanted[2] is not None:
        raise ValueError("tick() returns user classes, which are not supported: return users and spawn rate")
    try:
        return float(wanted[0]), float(wanted[1])
    except (TypeError, ValueError, IndexError) as error:
        raise ValueError(f"tick() returns {wanted!r} at {second} s: return users and spawn rate, or None") from error


def stages(users: Sequence[int]) -> list[dict[str, Any]]:
    """Return the stages of a load through these users at the end of each second, with equal slopes joined."""
    joined: list[dict[str, Any]] = []
    before, slope = 0, None
    for target in users:
        if joined and slope == target - before:
            joined[-1]["duration"] += 1
            joined[-1]["target"] = target
        else:
            joined.append({"duration": 1, "target": target})
            slope = target - before
        before = target
    return joined
