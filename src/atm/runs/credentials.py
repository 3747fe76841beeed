"""Specs with and without their credentials: what is stored for all to see, and what is sealed beside it.

Storage keeps a spec masked. Where that took something away, the whole spec is sealed beside it, for the run itself and
for the next one; `***` sent back means: as it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from atm.errors import Problem, SpecError
from atm.models.fields import Path, path_text
from atm.plan.spec_mask import MASK, masked_spec
from atm.runs.credential_recipients import Compile, recipients
from atm.storage.seal import Sealer

_SEALED = "spec"
_SHOWN_FIELDS = frozenset({"name", "description", "expect_body", "thresholds"})
"""Fields in which a mask is a text like any other."""
_MASK_IN_TEXT = re.compile(r"(?:^|[=:>\"'\s/@])\*{3}(?:$|[&;,<\"'\s}\])@\\])")


def masks(spec: Mapping[str, Any]) -> bool:
    """Whether masking takes something away from a spec."""
    plain = dict(spec)
    return masked_spec(plain) != plain


def seal(sealer: Sealer, spec: Mapping[str, Any]) -> bytes | None:
    """The whole spec, sealed, where masking takes something away; else null."""
    return sealer.seal({_SEALED: json.dumps(dict(spec))}) if masks(spec) else None


def unseal(sealer: Sealer, stored: Mapping[str, Any], sealed: bytes | None) -> dict[str, Any]:
    """The whole spec of a run or a test. Raises StorageError `unsealable`, and SpecError where it is nowhere."""
    if sealed is not None:
        whole: dict[str, Any] = json.loads(sealer.open(sealed)[_SEALED])
        return whole
    reject_masks(stored)
    return dict(stored)


def known(sealer: Sealer, stored: Mapping[str, Any], sealed: bytes | None) -> dict[str, Any]:
    """The spec as far as it is known: whole where something is sealed, else as it is stored."""
    return unseal(sealer, stored, sealed) if sealed is not None else dict(stored)


def restored(sent: Mapping[str, Any], before: Mapping[str, Any], compile_spec: Compile) -> dict[str, Any]:
    """What was sent with each `***` replaced by what stood there before (`before` is whole).

    Raises SpecError where that is not known, and for each credential that would now go to another place, or there
    with less protection: it is not carried anywhere by somebody who cannot read it. Both specs are compiled with
    `compile_spec`, so that what counts is where requests go and not how that is written. Raises as it does.
    """
    places: list[_Place] = []
    whole: dict[str, Any] = _restored(sent, masked_spec(before), before, (), (), places)
    reject_masks(whole)
    if places:
        compile_spec(whole)
        _require_same_receivers(whole, before, places, compile_spec)
    return whole


def _require_same_receivers(
    whole: Mapping[str, Any], before: Mapping[str, Any], places: Sequence[_Place], compile_spec: Compile
) -> None:
    now = recipients(compile_spec, whole, {each.now: each.shown for each in places})
    then = recipients(compile_spec, before, {each.before: each.shown for each in places})
    problems = []
    for each in places:
        known = then[each.before] if then is not None else set()
        if now is not None and all(any(one.is_covered_by(other) for other in known) for one in now[each.now]):
            continue
        name = path_text(each.now)
        what = f"{name} has {MASK}, and the credential there would go elsewhere, or less protected, than before"
        hint = f"send it again instead of {MASK}, or leave addresses, TLS and redirects as they were"
        problems.append(Problem(what, "credentials_needed", path=name, hint=hint))
    if problems:
        raise SpecError(problems)


def reject_masks(spec: Mapping[str, Any]) -> None:
    """Raises SpecError naming each place where a mask stands for a credential that nobody knows any more."""
    problems = [
        Problem(
            f"{path_text(path)} has {MASK} in it, which stands for a credential that is not shown",
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
    """Where a mask stands, where what it stands for was, and the text there as it is shown."""

    now: Path
    before: Path
    shown: str


def _restored(sent: Any, shown: Any, whole: Any, now: Path, before: Path, places: list[_Place]) -> Any:
    if isinstance(sent, str):
        if MASK not in sent or sent != shown or sent == whole:
            return sent
        places.append(_Place(now, before, sent))
        return whole
    if isinstance(sent, Mapping) and isinstance(shown, Mapping) and isinstance(whole, Mapping):
        return {
            name: _restored(value, shown.get(name), whole[name], (*now, str(name)), (*before, str(name)), places)
            if name in whole
            else value
            for name, value in sent.items()
        }
    if isinstance(sent, list | tuple) and isinstance(shown, list | tuple) and isinstance(whole, list | tuple):
        named = {_name(each): index for index, each in enumerate(whole) if _name(each)}
        result = []
        for index, value in enumerate(sent):
            other = named.get(_name(value), index)
            if other < len(whole):
                value = _restored(value, shown[other], whole[other], (*now, index), (*before, other), places)
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
