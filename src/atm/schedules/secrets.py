"""Secrets of schedules: mask and seal the spec and the channels, and restore them where `***` is sent back.

The path of a webhook URL is a secret, as it is often all that is needed to post there. So is all of an Apprise URL.
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
    """Return a channel with its secrets masked, as it is shown and stored."""
    shown = {**channel, "url": _masked_url(str(channel["type"]), str(channel["url"]))}
    if shown.get("secret") is not None:
        shown["secret"] = MASK
    return shown


def channel_name(channel: Mapping[str, Any]) -> str:
    """Return the display name of a channel: its masked URL."""
    return str(masked(channel)["url"])


def _masked_url(kind: str, url: str) -> str:
    if kind == "apprise":
        return f"{url.partition('://')[0]}://{MASK}"
    parts = urlsplit(url)
    base = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    bare = "@" not in parts.netloc and parts.path in ("", "/") and not parts.query
    return base + parts.path if bare else f"{base}/{MASK}"


def restored_channels(
    sent: Sequence[Webhook | AppriseTarget], before: Sequence[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Return the sent channels with each `***` replaced by the secret in `before`, the unmasked previous channels.

    Raises SpecError when there is no such secret, or when it would go to another host than before.
    """
    restored = []
    problems: list[Problem] = []
    for index, target in enumerate(sent):
        channel = target.model_dump(mode="json")
        previous = _previous(channel, index, before)
        if MASK in channel["url"]:
            if previous is None or masked(previous)["url"] != channel["url"]:
                problems.append(_needed(f"notify[{index}].url", "an address"))
                continue
            channel["url"] = previous["url"]
        if channel.get("secret") == MASK:
            if previous is None or not previous.get("secret") or _host(previous["url"]) != _host(channel["url"]):
                problems.append(_needed(f"notify[{index}].secret", "a secret"))
                continue
            channel["secret"] = previous["secret"]
        restored.append(channel)
    if problems:
        raise SpecError(problems)
    return restored


def _previous(channel: Mapping[str, Any], index: int, before: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the previous version of a channel: the one at its index, else one with the same masked URL."""
    same = [candidate for candidate in before if candidate["type"] == channel["type"]]
    shown = [candidate for candidate in same if channel["url"] in (candidate["url"], masked(candidate)["url"])]
    if index < len(before) and before[index] in (shown or same):
        return before[index]
    return shown[0] if shown else None


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}".lower()


def _needed(path: str, what: str) -> Problem:
    message = f"{path} is {MASK}, the mask of {what}"
    return Problem(message, "credentials_needed", path=path, hint=f"send {what} instead of {MASK}")


def seal(sealer: Sealer, spec: Mapping[str, Any] | None, channels: Sequence[Mapping[str, Any]]) -> bytes | None:
    """Return the unmasked spec and channels sealed, or None when masking changes neither."""
    hides_spec = spec is not None and credentials.has_credentials(spec)
    if not hides_spec and all(masked(channel) == channel for channel in channels):
        return None
    return sealer.seal({"spec": json.dumps(spec), "notify": json.dumps(list(channels))})


def unseal(sealer: Sealer, schedule: Schedule) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """Return the unmasked spec and channels of a schedule. Raises StorageError `unsealable`."""
    if schedule.sealed is None:
        return None if schedule.spec is None else dict(schedule.spec), [dict(channel) for channel in schedule.notify]
    opened = sealer.open(schedule.sealed)
    return json.loads(opened["spec"]), json.loads(opened["notify"])
