"""Run slow work, such as compiling submitted specs, outside the event loop.

The process has only two threads for it, as they share the interpreter lock with the event loop, which must respond
within milliseconds.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2, thread_name_prefix="off-loop")


async def off_loop(
    function: Callable[_Parameters, _Result], *arguments: _Parameters.args, **keywords: _Parameters.kwargs
) -> _Result:
    """Call the function in one of the threads and return its result."""
    return await asyncio.get_running_loop().run_in_executor(
        _threads(), functools.partial(function, *arguments, **keywords)
    )
