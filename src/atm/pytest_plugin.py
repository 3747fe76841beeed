"""The pytest fixture `atm`: load tests inside tests. See docs/guide/tests-in-python.md."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from atm.code.user import User
    from atm.models.run import RunResult
    from atm.models.spec import TestSpec


class LoadTests:
    """Runs load tests in this process."""

    def run(
        self,
        test: Mapping[str, Any] | TestSpec | str | os.PathLike[str] | Callable[[User], Awaitable[object]],
        **settings: Any,
    ) -> RunResult:
        """Run a spec, the file of one, or a coroutine function as a scenario; `settings` are fields of the spec.

        Raises SpecError with all problems; failed requests and thresholds are part of the result.
        """
        from atm.fleet.launch import execution_of
        from atm.library import compile_spec

        if callable(test):
            from atm.code.module import register

            name = getattr(test, "__name__", "scenario")
            test = {"name": name, "scenarios": {name: {"code": f"{register(name, test)}:{name}"}}}
        return asyncio.run(execution_of(compile_spec(test, settings=settings)).run())

    def assert_passed(
        self,
        test: Mapping[str, Any] | TestSpec | str | os.PathLike[str] | Callable[[User], Awaitable[object]],
        **settings: Any,
    ) -> RunResult:
        """Like `run`; fails with the reasons if the run did not pass."""
        from atm.models.failure_reasons import failure_reasons

        result = self.run(test, **settings)
        if not result.verdict.passed:
            reasons = "; ".join(failure_reasons(result)) or result.run.error or ""
            pytest.fail(f"{result.run.name}: {result.verdict.outcome}: {reasons}", pytrace=False)
        return result


@pytest.fixture
def atm() -> LoadTests:
    """Run load tests, and assert on their figures."""
    return LoadTests()
