"""Configure logging: JSON Lines on standard error with run and request ids, or plain lines on a terminal."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TextIO

from atm.models.sanitize import printable
from atm.plan.secret_mask import SecretMask

_EXTRA = ("run_id", "request_id", "milliseconds", "address", "key")


class JsonLines(logging.Formatter):
    """Format each record as one JSON object per line."""

    def __init__(self, mask: SecretMask | None = None) -> None:
        super().__init__()
        self._mask = mask or SecretMask()

    def format(self, record: logging.LogRecord) -> str:
        document: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._mask.text(record.getMessage()),
        }
        document.update({name: value for name in _EXTRA if (value := getattr(record, name, None)) is not None})
        if record.exc_info:
            document["trace"] = self._mask.text(self.formatException(record.exc_info))
        return json.dumps(document, ensure_ascii=False)


class PlainLines(logging.Formatter):
    """Format records for a terminal; control characters in request data are escaped."""

    def __init__(self, mask: SecretMask | None = None) -> None:
        super().__init__()
        self._mask = mask or SecretMask()

    def format(self, record: logging.LogRecord) -> str:
        at = self.formatTime(record, "%H:%M:%S")
        line = printable(f"{at} {record.levelname:<7} {self._mask.text(record.getMessage())}")
        if not record.exc_info:
            return line
        return f"{line}\n{printable(self._mask.text(self.formatException(record.exc_info)), layout=True)}"


class MaskedLines(logging.Formatter):
    """Lines in the format of `logging`, with secrets masked."""

    def __init__(self, layout: str, secrets: Iterable[str]) -> None:
        super().__init__(layout)
        self._mask = SecretMask(secrets)

    def format(self, record: logging.LogRecord) -> str:
        return self._mask.text(super().format(record))


def set_up(stream: TextIO | None = None, secrets: Iterable[str] = ()) -> None:
    """Send the logs of this program and of uvicorn to a stream, standard error by default, with secrets masked."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    mask = SecretMask(secrets)
    handler.setFormatter(PlainLines(mask) if stream.isatty() else JsonLines(mask))
    for name in ("atm", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(logging.INFO)
        logger.propagate = False
