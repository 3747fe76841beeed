"""Is a full response ok, and if not, in which words: the same words in every engine, so that failures group."""

from __future__ import annotations

from collections.abc import Callable

from atm.plan.load_plan import BodyCheck
from atm.plan.patterns import compiled

_SHOWN = 120


def expected_words(ranges: tuple[tuple[int, int], ...]) -> str:
    """`200, 201 or 204`; a whole class as `2xx`, another range as `200-204`."""
    words = []
    for low, high in ranges:
        if low == high:
            words.append(str(low))
        elif low % 100 == 0 and high == low + 99:
            words.append(f"{low // 100}xx")
        else:
            words.append(f"{low}-{high}")
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else "nothing"


def expected_set(ranges: tuple[tuple[int, int], ...]) -> frozenset[int]:
    """Every expected status code."""
    return frozenset(status for low, high in ranges for status in range(low, high + 1))


def failed_check(checks: tuple[BodyCheck, ...]) -> Callable[[bytes], str | None]:
    """From a decoded body to the first check that does not hold, in words; None when all hold."""
    tests: list[tuple[Callable[[str], object], str]] = []
    for check in checks:
        if check.kind == "contains":
            tests.append((_contains(check.pattern), f"body does not contain {_quoted(check)}"))
        else:
            tests.append((compiled(check.pattern).search, f"body does not match {_quoted(check)}"))

    def judge(body: bytes) -> str | None:
        text = body.decode(errors="replace")
        return next((words for test, words in tests if not test(text)), None)

    return judge


def _contains(needle: str) -> Callable[[str], bool]:
    return lambda text: needle in text


def _quoted(check: BodyCheck) -> str:
    pattern = check.pattern if len(check.pattern) <= _SHOWN else check.pattern[: _SHOWN - 1] + "…"
    return f'"{pattern}"' if check.kind == "contains" else f"/{pattern}/"
