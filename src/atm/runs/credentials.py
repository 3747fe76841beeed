"""Credentials of stored specs: mask them, seal the full spec, and restore them in a spec sent back with masks.

Storage keeps a spec masked. When masking removed anything, the full spec is sealed beside it, for the run itself and
for reruns; `***` in a spec sent back keeps the stored credential.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from atm.dataclass import dataclass
from atm.errors import Problem, SpecError
from atm.models.fields import Path, path_text
from atm.plan.spec_mask import MASK, masked_spec
from atm.runs.credential_recipients import Compile, recipients
from atm.storage.seal import Sealer

_SEALED = "spec"
_SHOWN_FIELDS = frozenset({"name", "description", "expect_body", "thresholds"})
"""Fields in which `***` is ordinary text."""
_MASK_IN_TEXT = re.compile(r"(?:^|[=:>\"'\s/@])\*{3}(?:$|[&;,<\"'\s}\])@\\])")


def has_credentials(spec: Mapping[str, Any]) -> bool:
    """Return whether masking changes a spec."""
    plain = dict(spec)
    return masked_spec(plain) != plain


def seal(sealer: Sealer, spec: Mapping[str, Any]) -> bytes | None:
    """Return the full spec sealed, or None when it has no credentials."""
    return sealer.seal({_SEALED: json.dumps(dict(spec))}) if has_credentials(spec) else None


def unseal(sealer: Sealer, stored: Mapping[str, Any], sealed: bytes | None) -> dict[str, Any]:
    """Return the full spec of a run or a test. Raises StorageError `unsealable`, SpecError when it was not stored."""
    if sealed is not None:
        full: dict[str, Any] = json.loads(sealer.open(sealed)[_SEALED])
        return full
    reject_masks(stored)
    return dict(stored)


def known_spec(sealer: Sealer, stored: Mapping[str, Any], sealed: bytes | None) -> dict[str, Any]:
    """Return the full spec when it is sealed, else the stored one, which may contain masks."""
    return unseal(sealer, stored, sealed) if sealed is not None else dict(stored)


def restored(sent: Mapping[str, Any], before: Mapping[str, Any], compile_spec: Compile) -> dict[str, Any]:
    """Replace each `***` in a sent spec by the credential at that place in `before`, a full spec.

    Raises SpecError for a mask without a stored credential, and for each credential that would go to another recipient
    or there with less protection: users who cannot read a credential must not be able to redirect it. Both specs are
    compiled with `compile_spec`, so that recipients are compared and not how they are written. Raises as it does.
    """
    places: list[_Place] = []
    full: dict[str, Any] = _restored(sent, masked_spec(before), before, (), (), places)
    reject_masks(full)
    if places:
        compile_spec(full)
        _require_same_recipients(full, before, places, compile_spec)
    return full


def _require_same_recipients(
    full: Mapping[str, Any], before: Mapping[str, Any], places: Sequence[_Place], compile_spec: Compile
) -> None:
    now = recipients(compile_spec, full, {place.now: place.shown for place in places})
    then = recipients(compile_spec, before, {place.before: place.shown for place in places})
    problems = []
    for place in places:
        allowed = then[place.before] if then is not None else set()
        if now is not None and all(
            any(recipient.is_covered_by(previous) for previous in allowed) for recipient in now[place.now]
        ):
            continue
        name = path_text(place.now)
        what = f"{name} has {MASK}, but its stored credential would go to another target, or be less protected"
        hint = f"send the credential instead of {MASK}, or leave addresses, TLS and redirects unchanged"
        problems.append(Problem(what, "credentials_needed", path=name, hint=hint))
    if problems:
        raise SpecError(problems)


def reject_masks(spec: Mapping[str, Any]) -> None:
    """Reject a spec that contains masks without a stored credential. Raises SpecError with each place."""
    problems = [
        Problem(
            f"{path_text(path)} contains {MASK}, the mask of a credential",
            "credentials_needed",
            path=path_text(path),
            hint="send the credential itself, or {{env:NAME}}",
        )
        for path, text in _texts(spec, ())
        if _has_mask(path, text)
    ]
    if problems:
        raise SpecError(problems)


def _has_mask(path: Path, text: str) -> bool:
    if MASK not in text or any(part in _SHOWN_FIELDS for part in path):
        return False
    return text.strip() == MASK or bool(_MASK_IN_TEXT.search(text))


@dataclass(frozen=True, slots=True)
class _Place:
    """The place of a mask, the place of its credential in the previous spec, and the masked text."""

    now: Path
    before: Path
    shown: str


def _restored(sent: Any, shown: Any, full: Any, now: Path, before: Path, places: list[_Place]) -> Any:
    if isinstance(sent, str):
        if MASK not in sent or sent != shown or sent == full:
            return sent
        places.append(_Place(now, before, sent))
        return full
    if isinstance(sent, Mapping) and isinstance(shown, Mapping) and isinstance(full, Mapping):
        return {
            name: _restored(value, shown.get(name), full[name], (*now, str(name)), (*before, str(name)), places)
            if name in full
            else value
            for name, value in sent.items()
        }
    if isinstance(sent, list | tuple) and isinstance(shown, list | tuple) and isinstance(full, list | tuple):
        positions = {_name(item): index for index, item in enumerate(full) if _name(item)}
        result = []
        for index, value in enumerate(sent):
            position = positions.get(_name(value), index)
            if position < len(full):
                value = _restored(value, shown[position], full[position], (*now, index), (*before, position), places)
            result.append(value)
        return result
    return sent


def _name(value: Any) -> str:
    return str(value["name"]) if isinstance(value, Mapping) and "name" in value else ""


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _texts(item, (*path, str(name)))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))
