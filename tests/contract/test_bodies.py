"""Bodies that are compressed or not text: bytes on the wire and in samples, the same on every engine."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from atm.engine.base import Capability, Engine
from atm.plan.compile import compile_plan
from atm.plan.connections import Connections
from atm.plan.load_plan import Step
from atm.plan.template_parts import BytesPart, IterationSource, LiteralPart, SecretPart, Template, VariablePart
from atm.testing import TargetServer
from tests.contract.engine_runs import Ran, run
from tests.contract.plans import http, plan, step
from tests.contract.scenario_plans import requests, scenario, value

BINARY = bytes(range(256)) * 3 + b"%b%d\r\n\r\n"
BYTES = BytesPart(base64.b64encode(BINARY).decode())
SIZE = f"[{len(BINARY)} bytes]"


def posting(*body: LiteralPart | BytesPart | VariablePart | SecretPart, compresses: bool = False) -> Step:
    template: Template = body
    return replace(step("/echo/raw", method="POST"), body=template, compresses=compresses)


def sent(target: TargetServer) -> list[tuple[int, bytes]]:
    """The declared lengths and the bodies that arrived, which are as long."""
    arrived = []
    for request in target.captured():
        head, _, body = (request.raw or b"").partition(b"\r\n\r\n")
        (length,) = re.findall(rb"Content-Length: (\d+)", head)
        assert int(length) == len(body)
        arrived.append((int(length), body))
    return arrived


def shown(ran: Ran) -> set[tuple[str, int]]:
    return {(sample.request.body, sample.request.body_bytes) for sample in ran.samples}


def test_bytes_are_sent_unchanged_and_shown_by_their_size(engine: Engine, target: TargetServer) -> None:
    ran = run(engine, plan(http(target), posting(LiteralPart("a=ä%"), BYTES, LiteralPart("."))))
    expected = "a=ä%".encode() + BINARY + b"."
    assert sent(target) == [(len(expected), expected)]
    assert shown(ran) == {(f"a=ä%{SIZE}.", len(expected))}


def test_a_constant_body_is_compressed(engine: Engine, target: TargetServer) -> None:
    body = posting(LiteralPart("100% " * 500), BYTES, SecretPart("token"), compresses=True)
    ran = run(engine, plan(http(target), body, total=3), {"token": "s3cret-value"})
    plain = b"100% " * 500 + BINARY + b"s3cret-value"
    arrived = sent(target)
    assert [gzip.decompress(compressed) for _, compressed in arrived] == [plain] * 3
    assert len(set(arrived)) == 1
    assert arrived[0][0] < len(plain)
    assert shown(ran) == {("100% " * 500 + SIZE + "***", arrived[0][0])}


def test_a_body_with_variables_is_compressed_per_request(engine: Engine, target: TargetServer) -> None:
    body = posting(LiteralPart("n="), VariablePart("request_number"), BYTES, compresses=True)
    ran = run(engine, plan(http(target), body, total=12))
    plain = [gzip.decompress(compressed) for _, compressed in sent(target)]
    assert sorted(plain) == sorted(b"n=%d" % number + BINARY for number in range(1, 13))
    lengths = {gzip.decompress(compressed): length for length, compressed in sent(target)}
    for sample in ran.samples:
        number = sample.request_number
        assert sample.request.body == f"n={number}{SIZE}"
        assert sample.request.body_bytes == lengths[b"n=%d" % number + BINARY]


def test_a_compressed_body_survives_a_redirect(engine: Engine, target: TargetServer) -> None:
    body = replace(posting(LiteralPart("kept"), compresses=True), target=step("/redirect/1?status=307").target)
    ran = run(engine, plan(http(target), body, connections=Connections(redirects=3)))
    bodies = [gzip.decompress(compressed) for _, compressed in sent(target)]
    assert bodies == [b"kept", b"kept"]
    assert {text for text, _ in shown(ran)} == {"kept"}


@pytest.mark.needs(Capability.SCENARIOS)
def test_the_values_of_a_user_are_compressed_per_request(engine: Engine, target: TargetServer) -> None:
    varying = replace(
        posting(compresses=True), body=(LiteralPart("i="), value(IterationSource()), BYTES, SecretPart("token"))
    )
    constant = posting(LiteralPart("same"), compresses=True)
    for uses_cookies in (False, True):
        target.reset()
        made = scenario(target, requests(0, 1), varying, constant, flow={"uses_cookies": uses_cookies}, total=2)
        ran = run(engine, made, {"token": "s3cret-value"})
        arrived = sent(target)
        assert [gzip.decompress(compressed) for _, compressed in arrived] == [
            b"i=1" + BINARY + b"s3cret-value", b"same", b"i=2" + BINARY + b"s3cret-value", b"same",
        ]  # fmt: skip
        assert {text for text, _ in shown(ran)} == {f"i=1{SIZE}***", f"i=2{SIZE}***", "same"}
        assert {length for _, length in shown(ran)} == {length for length, _ in arrived}


@pytest.mark.needs(Capability.SCENARIOS)
def test_the_target_receives_the_file_that_a_spec_names(engine: Engine, target: TargetServer, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(BINARY)
    digest = hashlib.sha256(BINARY).hexdigest()
    upload = {
        "POST": "/shop/upload",
        "multipart": {
            "photo": {"file": "photo.jpg", "filename": "me.jpg", "type": "image/x"},
            "meta": {"value": '{"n": {{iteration}}}', "type": "application/json"},
        },
        "checks": [
            "status == 201",
            f"$.parts[0].sha256 == {digest}",
            "$.parts[0].filename == me.jpg",
            "$.parts[0].content_type == image/x",
            "$.parts[1].content_type == application/json",
            "$.parts[1].size == 8",
        ],
    }
    spec = {
        "name": "upload",
        "base_url": target.url,
        "scenarios": {"s": {"steps": [upload]}},
        "total_requests": 5,
        "concurrency": 1,
    }
    test = compile_plan(spec, {}, read_file=lambda name: (tmp_path / name).read_bytes())
    ran = run(engine, test.plan, test.secrets)
    assert ran.failures == {}
    assert ran.total().ok == 5
