"""Find the recipients of each credential in a spec, to decide whether a stored credential may be reused.

A spec is compiled with a marker in place of each credential. The parts of the plan that contain a marker, with their
TLS and redirect rules, are where the credential would be sent, however the URL is written.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from atm.dataclass import dataclass
from atm.errors import AtmError
from atm.models.fields import Path
from atm.plan.compile import CompiledTest
from atm.plan.load_plan import LoadPlan, Step
from atm.plan.spec_mask import MASK
from atm.plan.template_parts import LiteralPart, SecretPart, ValuePart, secret_slots

_MARKER = "atmmarker{:07d}x"
_MARKED = re.compile(r"atmmarker(\d{7})x", re.IGNORECASE)

Compile = Callable[[Mapping[str, Any]], CompiledTest]


@dataclass(frozen=True, slots=True)
class Recipient:
    """A destination of a credential, and how it is protected in transit."""

    address: tuple[Any, ...]
    """Scheme, host and port, the overriding connect address, the hosts from the environment, and the proxy."""
    insecure: bool
    ca_pem: str
    server_name: str
    redirects: int

    def is_covered_by(self, other: Recipient) -> bool:
        """Return whether a credential sent to `other` may be sent here: same address, no less protection."""
        return (
            self.address == other.address
            and self.insecure <= other.insecure
            and self.ca_pem in ("", other.ca_pem)
            and self.server_name in ("", other.server_name)
            and self.redirects <= other.redirects
        )


def recipients(
    compile_spec: Compile, spec: Mapping[str, Any], places: Mapping[Path, str]
) -> dict[Path, set[Recipient]] | None:
    """Return the recipients of each credential by its place in the spec; None when the marked spec does not compile.

    `places` maps each place to its masked text, with `***` for each credential.
    """
    numbers = {place: number for number, place in enumerate(places)}
    marked = _marked(spec, (), {place: _MARKER.format(numbers[place]) for place in places}, places)
    try:
        test = compile_spec(marked)
    except AtmError:
        return None
    result: dict[Path, set[Recipient]] = {place: set() for place in places}
    by_number = list(places)
    for number, recipient in _received(test):
        if number < len(by_number):
            result[by_number[number]].add(recipient)
    return result


def _received(test: CompiledTest) -> Iterator[tuple[int, Recipient]]:
    """Yield each marker in the plans of a test with one of its recipients."""
    yield from _received_in(test, test.plan, test.environment_hosts)
    for hook in (test.setup, test.teardown):
        if hook is not None:
            yield from _received_in(test, hook.plan, hook.environment_hosts)


def _received_in(
    test: CompiledTest, plan: LoadPlan, environment_hosts: Sequence[tuple[str, ...]]
) -> Iterator[tuple[int, Recipient]]:
    connections = plan.connections
    tls = connections.tls
    proxy = connections.proxy.origin if connections.proxy else None
    through = (proxy.scheme, proxy.host, proxy.port) if proxy else ()

    def recipient(*address: Any) -> Recipient:
        return Recipient((*address, through), tls.insecure, tls.ca_pem, tls.server_name, connections.redirects)

    in_slots = {slot: _markers(value) for slot, value in test.secrets.items()}
    for slot, credential in test.credentials.items():
        in_slots[slot] = _markers(json.dumps(credential.to_data()))
        for number in in_slots[slot]:
            yield number, recipient("token", getattr(credential, "token_url", ""))
    for flow in plan.flows:
        for step in flow.steps:
            index = step.endpoint
            origin = plan.origins[step.origin]
            dialled = (origin.connect_host, origin.connect_port)
            hosts = environment_hosts[index] if index < len(environment_hosts) else ()
            there = recipient(origin.scheme, origin.host, origin.port, dialled, hosts)
            for number in _in_step(step, in_slots):
                yield number, there
            for text in (*(check.pattern for check in step.checks), *(check.text for check in step.named_checks)):
                for number in _markers(text):
                    yield number, recipient("shown")
    if connections.proxy:
        for number in in_slots.get(connections.proxy.authorization_slot, ()):
            yield number, recipient("proxy")
    for text in (plan.name, *plan.endpoints, *(origin.host for origin in plan.origins), tls.server_name):
        for number in _markers(text):
            yield number, recipient("shown")


def _in_step(step: Step, in_slots: Mapping[str, set[int]]) -> set[int]:
    numbers: set[int] = set()
    for part in step.parts:
        if isinstance(part, SecretPart | ValuePart):
            for slot in secret_slots(part):
                numbers |= in_slots.get(slot, set())
        elif isinstance(part, LiteralPart):
            numbers |= _markers(part.text)
    return numbers


def _markers(text: str) -> set[int]:
    """Return the markers in a text, plain or inside base64 of `user:password`."""
    numbers = {int(digits) for digits in _MARKED.findall(text)}
    if not numbers:
        try:
            decoded = base64.b64decode(text.rpartition(" ")[2], validate=True).decode(errors="replace")
        except (binascii.Error, ValueError):
            return numbers
        numbers = {int(digits) for digits in _MARKED.findall(decoded)}
    return numbers


def _marked(value: Any, path: Path, markers: Mapping[Path, str], shown: Mapping[Path, str]) -> Any:
    if path in markers:
        return shown[path].replace(MASK, markers[path])
    if isinstance(value, Mapping):
        return {name: _marked(item, (*path, str(name)), markers, shown) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_marked(item, (*path, index), markers, shown) for index, item in enumerate(value)]
    return value
