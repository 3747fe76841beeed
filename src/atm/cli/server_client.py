"""The `--server` option of commands that only work on a server, and one call to its Control API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import typer

if TYPE_CHECKING:
    from atm.client import ControlClient

DEFAULT_SERVER = "http://127.0.0.1:8000"
_Result = TypeVar("_Result")


def server_option(help: str) -> Any:
    """Return the option `--server`, whose default is `DEFAULT_SERVER`."""
    return typer.Option("--server", envvar="ATM_API_URL", metavar="URL", help=help)


def on_server(server: str, work: Callable[[ControlClient], Awaitable[_Result]]) -> _Result:
    """Open a client for the server, run `work` with it, close it. Raises the errors of `ControlClient`."""
    import asyncio

    from atm.client import ControlClient
    from atm.config import load_settings

    async def connected() -> _Result:
        async with ControlClient(server, load_settings().key_for(server)) as control:
            return await work(control)

    return asyncio.run(connected())
