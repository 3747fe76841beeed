"""Specs with and without their credentials: what is stored for all to see, and what is sealed beside it.

Storage keeps a spec masked. Where that took something away, the whole spec is sealed beside it, for the run itself and
for the next one; `***` sent back means: as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from atm.errors import Problem, SpecError
from atm.models.fields import Path, path_text
from atm.plan.masking import MASK, masked_spec
from atm.storage.seal import Sealer

_SEALED = "spec"
_ADDRESSES = frozenset({"url", "token_url", "proxy", "connect_to"})


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


def restored(sent: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """What was sent with each `***` replaced by what stood there before (`before` is whole).

    Raises SpecError where that is not known, and where the spec now leads elsewhere: a credential is not carried to
    another host by somebody who cannot read it.
    """
    whole: dict[str, Any] = _restored(sent, masked_spec(before), before)
    if whole != dict(sent) and not _addresses(whole) <= _addresses(before):
        what = "the spec leads to another host than before, so its credentials are not carried over"
        raise SpecError(Problem(what, "credentials_needed", hint="send them again instead of ***"))
    reject_masks(whole)
    return whole


def reject_masks(spec: Mapping[str, Any]) -> None:
    """Raises SpecError naming each place where a mask stands for a credential that nobody knows any more."""
    problems = [
        Problem(
            f"{path_text(path)} is {MASK}, which stands for a credential that is not shown",
            "credentials_needed",
            path=path_text(path),
            hint="send the credential itself, or {{env:NAME}}",
        )
        for path, text in _texts(spec, ())
        if text == MASK or f"://{MASK}@" in text or f"={MASK}" in text
    ]
    if problems:
        raise SpecError(problems)


def _restored(sent: Any, shown: Any, whole: Any) -> Any:
    if isinstance(sent, str):
        return whole if MASK in sent and sent == shown else sent
    if isinstance(sent, Mapping) and isinstance(shown, Mapping) and isinstance(whole, Mapping):
        return {
            name: _restored(value, shown.get(name), whole.get(name)) if name in whole else value
            for name, value in sent.items()
        }
    if isinstance(sent, list | tuple) and isinstance(shown, list | tuple) and isinstance(whole, list | tuple):
        known = {_name(each): index for index, each in enumerate(whole) if _name(each)}
        return [
            _restored(value, shown[place], whole[place])
            if (place := known.get(_name(value), index)) < len(whole)
            else value
            for index, value in enumerate(sent)
        ]
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


def _addresses(spec: Mapping[str, Any]) -> set[str]:
    """Everything in a spec that decides where a request, and with it a credential, goes."""
    found = set()
    for path, text in _texts(spec, ()):
        name = next((part for part in reversed(path) if isinstance(part, str)), "")
        if name in _ADDRESSES or path[:1] == ("variables",):
            parts = urlsplit(text.partition("{{")[0]) if "://" in text else None
            found.add(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts else text)
    return found
