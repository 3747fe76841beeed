"""The Apprise channel: sends each message from a separate process (`apprise_process.py`)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from atm import child_process
from atm.notifications.channel import SEND_SECONDS, Message, SendError
from atm.notifications.message import body_of, title_of
from atm.plan.targets import TargetRules

_KINDS = {"failure": "failure", "recovery": "success", "success": "success", "cancelled": "warning"}


class AppriseChannel:
    """The `Channel` for `AppriseTarget`s."""

    def __init__(
        self, rules: TargetRules, directory: Path | None = None, *, timeout_seconds: float = 2 * SEND_SECONDS
    ) -> None:
        """`directory` is the process's working directory: the data directory, which other accounts cannot write."""
        self._rules = rules
        self._directory = directory
        self._timeout = timeout_seconds

    async def send(self, message: Message, at: float) -> None:  # noqa: ARG002 (services set their own times)
        """Make one attempt to send. Raises SendError."""
        process = await child_process.start_async(
            "atm.notifications.apprise_process",
            directory=self._directory,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(self._timeout):
                output, _ = await process.communicate(json.dumps(self._request(message)).encode() + b"\n")
        except TimeoutError as error:
            raise SendError(f"not sent within {self._timeout:g} s") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            reason = (
                output.decode("utf-8", "replace").strip() or f"its process ended with exit code {process.returncode}"
            )
            raise SendError(reason, final=process.returncode == 2)

    def _request(self, message: Message) -> Mapping[str, Any]:
        return {
            "url": message.target["url"],
            "title": title_of(message.document),
            "body": body_of(message.document),
            "kind": _KINDS.get(str(message.document.get("event")), "info"),
            "allowed": list(self._rules.allowed),
        }
