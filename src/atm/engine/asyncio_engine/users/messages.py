"""Failure messages and body checks (identical in both engines, so failures group)."""

from __future__ import annotations

from collections.abc import Callable

from atm.plan.load_plan import BodyCheck
from atm.plan.patterns import compiled

_SHOWN = 120


def timeout_text(timeout_ns: int) -> str:
    """Return `no full answer in 0.25 s`, with as many digits as the timeout needs."""
    whole, rest = divmod(timeout_ns, 1_000_000_000)
    return "no full answer in " + f"{whole}.{rest:09d}".rstrip("0").rstrip(".") + " s"


def expected_text(ranges: tuple[tuple[int, int], ...]) -> str:
    """Return `200, 201 or 204`; a whole class as `2xx`, another range as `200-204`."""
    names = []
    for low, high in ranges:
        if low == high:
            names.append(str(low))
        elif low % 100 == 0 and high == low + 99:
            names.append(f"{low // 100}xx")
        else:
            names.append(f"{low}-{high}")
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "nothing"


def check_of(checks: tuple[BodyCheck, ...]) -> Callable[[str], str | None]:
    """Return a function from a body's text to the message of the first check that fails; None if all pass."""
    tests: list[tuple[Callable[[str], object], str]] = []
    for condition in checks:
        if condition.kind == "contains":
            tests.append((_contains(condition.pattern), f"body does not contain {_quoted(condition)}"))
        else:
            tests.append((compiled(condition.pattern).search, f"body does not match {_quoted(condition)}"))

    def check(text: str) -> str | None:
        return next((message for test, message in tests if not test(text)), None)

    return check


def _contains(needle: str) -> Callable[[str], bool]:
    return lambda text: needle in text


def _quoted(check: BodyCheck) -> str:
    pattern = check.pattern if len(check.pattern) <= _SHOWN else check.pattern[: _SHOWN - 1] + "…"
    return f'"{pattern}"' if check.kind == "contains" else f"/{pattern}/"
