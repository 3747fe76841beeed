"""Configure logging: JSON Lines on standard error with run and request ids, or plain lines on a terminal."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

from atm.models.sanitize import printable

_EXTRA = ("run_id", "request_id", "milliseconds", "address", "key")


class JsonLines(logging.Formatter):
    """Format each record as one JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        document: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        document.update({name: value for name in _EXTRA if (value := getattr(record, name, None)) is not None})
        if record.exc_info:
            document["trace"] = self.formatException(record.exc_info)
        return json.dumps(document, ensure_ascii=False)


class PlainLines(logging.Formatter):
    """Format records for a terminal; control characters in request data are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        at = self.formatTime(record, "%H:%M:%S")
        line = printable(f"{at} {record.levelname:<7} {record.getMessage()}")
        return f"{line}\n{printable(self.formatException(record.exc_info), layout=True)}" if record.exc_info else line


def set_up(stream: TextIO | None = None) -> None:
    """Send the logs of this program and of uvicorn to a stream, standard error by default."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(PlainLines() if stream.isatty() else JsonLines())
    for name in ("atm", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(logging.INFO)
        logger.propagate = False
