"""Work that takes more than a moment, beside the event loop: specs that others sent are compiled here.

Two threads for the whole process, however many clients there are: they share the interpreter with the event loop, which
is to be answered within milliseconds all the time.
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
    function: Callable[_Parameters, _Result], *arguments: _Parameters.args, **named: _Parameters.kwargs
) -> _Result:
    """What the function returns or raises, worked out in one of the threads when it is its turn."""
    return await asyncio.get_running_loop().run_in_executor(
        _threads(), functools.partial(function, *arguments, **named)
    )
