"""The engines that face the suite."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from atm.engine.asyncio_engine import AsyncioEngine
from atm.engine.base import Engine
from atm.engine.native_engine import NativeEngine, load_native_engine
from tests.examples import PROFILE


def _standard_loop() -> Engine:
    """As it runs where uvloop is not installed."""
    return AsyncioEngine(new_loop=asyncio.SelectorEventLoop)


ENGINES: Mapping[str, Callable[[], Engine]] = {
    "asyncio": AsyncioEngine,
    # Where it is not built (no Rust toolchain), set-up has said so, and there is nothing to test.
    **({"native": NativeEngine} if load_native_engine() else {}),
    **({"asyncio-standard-loop": _standard_loop} if PROFILE == "prove" else {}),
}
