"""Specs and channels of a schedule with and without their secrets: shown masked, kept sealed, taken back as `***`.

The path of a webhook's URL is a secret: whoever knows it may post there. Of an Apprise URL everything is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from atm.errors import Problem, SpecError
from atm.models.schedule import AppriseTarget, Webhook
from atm.plan.spec_mask import MASK
from atm.runs import credentials
from atm.storage.schedules import Schedule
from atm.storage.seal import Sealer


def masked(channel: Mapping[str, Any]) -> dict[str, Any]:
    """A channel as it may be shown and stored."""
    shown = {**channel, "url": _masked_url(str(channel["type"]), str(channel["url"]))}
    if shown.get("secret") is not None:
        shown["secret"] = MASK
    return shown


def channel_name(channel: Mapping[str, Any]) -> str:
    """A channel for people: where to, and no more."""
    return str(masked(channel)["url"])


def _masked_url(kind: str, url: str) -> str:
    if kind == "apprise":
        return f"{url.partition('://')[0]}://{MASK}"
    parts = urlsplit(url)
    base = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    bare = "@" not in parts.netloc and parts.path in ("", "/") and not parts.query
    return base + parts.path if bare else f"{base}/{MASK}"


def whole_channels(
    sent: Sequence[Webhook | AppriseTarget], before: Sequence[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Channels as they were sent, each `***` replaced by what stood there before (`before` is whole).

    Raises SpecError where that is not known, and where a secret would go to another host than before.
    """
    whole = []
    problems: list[Problem] = []
    for index, each in enumerate(sent):
        channel = each.model_dump(mode="json")
        known = _before(channel, index, before)
        if MASK in channel["url"]:
            if known is None or masked(known)["url"] != channel["url"]:
                problems.append(_needed(f"notify[{index}].url", "an address"))
                continue
            channel["url"] = known["url"]
        if channel.get("secret") == MASK:
            if known is None or not known.get("secret") or _host(known["url"]) != _host(channel["url"]):
                problems.append(_needed(f"notify[{index}].secret", "a secret"))
                continue
            channel["secret"] = known["secret"]
        whole.append(channel)
    if problems:
        raise SpecError(problems)
    return whole


def _before(channel: Mapping[str, Any], index: int, before: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """What a channel was: the one in its place, else one that looks the same."""
    same = [each for each in before if each["type"] == channel["type"]]
    shown = [each for each in same if channel["url"] in (each["url"], masked(each)["url"])]
    if index < len(before) and before[index] in (shown or same):
        return before[index]
    return shown[0] if shown else None


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}".lower()


def _needed(path: str, what: str) -> Problem:
    said = f"{path} is {MASK}, which stands for {what} that is not shown"
    return Problem(said, "credentials_needed", path=path, hint="send it itself")


def seal(sealer: Sealer, spec: Mapping[str, Any] | None, channels: Sequence[Mapping[str, Any]]) -> bytes | None:
    """The whole spec and the whole channels, sealed, where masking takes something away; else null."""
    hides_spec = spec is not None and credentials.masks(spec)
    if not hides_spec and all(masked(each) == each for each in channels):
        return None
    return sealer.seal({"spec": json.dumps(spec), "notify": json.dumps(list(channels))})


def unseal(sealer: Sealer, schedule: Schedule) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """The whole spec and the whole channels of a schedule. Raises StorageError `unsealable`."""
    if schedule.sealed is None:
        return None if schedule.spec is None else dict(schedule.spec), [dict(each) for each in schedule.notify]
    found = sealer.open(schedule.sealed)
    return json.loads(found["spec"]), json.loads(found["notify"])
