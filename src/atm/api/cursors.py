"""The cursor of a list as text."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime

from atm.api.errors import bad_request
from atm.storage.records import RunCursor


def write_cursor(cursor: RunCursor | None) -> str | None:
    """A cursor as text that nobody needs to understand."""
    if cursor is None:
        return None
    return base64.urlsafe_b64encode(f"{cursor.created_at.isoformat()} {cursor.id}".encode()).decode().rstrip("=")


def read_cursor(text: str) -> RunCursor:
    """Read what `write_cursor` wrote. Raises ApiError."""
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        at, _, run_id = plain.partition(" ")
        created_at = datetime.fromisoformat(at)
    except (binascii.Error, ValueError) as error:
        raise bad_request("this is no cursor of ours", "bad_cursor", "query.cursor") from error
    if created_at.tzinfo is None or not run_id:
        raise bad_request("this is no cursor of ours", "bad_cursor", "query.cursor")
    return RunCursor(created_at, run_id)
