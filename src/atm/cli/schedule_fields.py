"""The fields of a schedule from the options of a command. Each function raises SpecError if it cannot use a value."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from atm.errors import Problem, SpecError


def trigger_of(cron: str | None, every: str | None, at: str | None, zone: str) -> dict[str, Any]:
    """Build the trigger of the options."""
    given = [option for option in (cron, every, at) if option is not None]
    if len(given) != 1:
        what = "give exactly one of --cron, --every and --at"
        hint = "`--cron '30 2 * * *' --zone Europe/Berlin`, `--every 6h`, `--at 2026-12-01T02:30`"
        raise SpecError(Problem(what, "usage", hint=hint))
    if cron is not None:
        return {"type": "cron", "expression": cron, "timezone": zone}
    if every is not None:
        return {"type": "interval", "seconds": seconds_of(every, "--every")}
    assert at is not None
    return {"type": "date", "run_date": _time(at, "--at").isoformat(), "timezone": zone}


def seconds_of(text: str, option: str) -> int:
    """Return a duration like 15m in seconds."""
    from atm.models.duration import parse_duration

    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise SpecError(Problem(f"{option}: {error}", "bad_value", path=option)) from error
    if seconds != int(seconds):
        raise SpecError(Problem(f"{option}: {text} is not a whole number of seconds", "bad_value", path=option))
    return int(seconds)


def _time(text: str, option: str) -> datetime:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        hint = "For example 2026-12-01T02:30 or 2026-12-01T02:30Z"
        raise SpecError(Problem(f"{option}: {text!r} is not a time", "bad_value", path=option, hint=hint)) from None


def moment_of(text: str | None, option: str) -> str | None:
    """Return an ISO 8601 time with its zone, the local one where it has none."""
    if text is None:
        return None
    at = _time(text, option)
    return (at.astimezone() if at.tzinfo is None else at).isoformat()


def channel_of(url: str, secret: str | None, events: list[str]) -> dict[str, Any]:
    """Return a webhook for an HTTP address, else a channel of Apprise."""
    if url.lower().startswith(("http://", "https://")):
        return {"type": "webhook", "url": url, "secret": secret, "on": events}
    return {"type": "apprise", "url": url, "on": events}


def validated(kind: Any, fields: dict[str, Any]) -> Any:
    """Validate before sending, for an error with our own code."""
    from pydantic import ValidationError

    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        problems = []
        for detail in error.errors():
            what = str(detail["msg"]).removeprefix("Value error, ")
            problems.append(Problem(what[:1].lower() + what[1:], "bad_value", path=".".join(map(str, detail["loc"]))))
        raise SpecError(problems) from error
