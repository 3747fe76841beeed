"""TLS in a server of ours: real handshakes, certificates that are renewed, clients that never finish one."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from atm.config import Settings
from atm.errors import SettingsError
from atm.http_connection import HANDSHAKE_SECONDS, certificate_of, warn_of_clear_text
from atm.testing import TargetServer
from atm.testing.certificates import Authority, CertificateFiles
from tests.api.server import ApiServer, ended, events, free_port
from tests.runs.installation import spec
from tests.security.sockets import connected, eventually, head

pytestmark = pytest.mark.timeout(300)

KEY = "9f1c6e0b7a3d5824c1e97b60d4f8a2534be17c09"


class Pair:
    """The two files that a server was given, and how they are renewed."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.authority = Authority(directory)
        self.certificate, self.key = directory / "live.pem", directory / "live.key"
        self.renew(self.authority.server("127.0.0.1", "localhost"))

    def renew(self, files: CertificateFiles) -> None:
        """As certbot does: each file is replaced whole, the one after the other."""
        for source, place in ((files.certificate, self.certificate), (files.key, self.key)):
            self.replace(source, place)

    @staticmethod
    def replace(source: Path, place: Path) -> None:
        shutil.copy(source, place.with_suffix(".new"))
        place.with_suffix(".new").rename(place)

    @property
    def environment(self) -> dict[str, Any]:
        files = {"ATM_TLS_CERT": self.certificate, "ATM_TLS_KEY": self.key, "SSL_CERT_FILE": self.authority.ca_file}
        return {name: str(path) for name, path in files.items()}


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path / "tls")


@pytest.fixture(scope="module")
def steady_pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(tmp_path_factory.mktemp("pair") / "tls")


@pytest.fixture(scope="module")
def steady(steady_pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """One server for what renews nothing; it takes 24 connections."""
    server = ApiServer(
        tmp_path_factory.mktemp("steady") / "data",
        API_TEST_MACHINE_API_KEY=KEY,
        ATM_MAX_CONNECTIONS="24",
        **steady_pair.environment,
    ).ready()
    yield server
    log = server.log()
    server.stop()
    assert "Traceback" not in log


def trusting_all() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def shown(port: int) -> bytes:
    """The certificate that a new connection is shown."""
    with connected(port) as opened, trusting_all().wrap_socket(opened) as secure:
        return secure.getpeercert(binary_form=True) or b""


def der(files: CertificateFiles) -> bytes:
    return ssl.PEM_cert_to_DER_cert(
        files.certificate.read_text().partition("-----END")[0] + "-----END CERTIFICATE-----\n"
    )


def test_a_server_speaks_https_only_and_says_so(steady: ApiServer) -> None:
    with steady.client(**{"X-API-Key": KEY}) as client:
        assert client.get("/runs").status_code == 200
    with connected(steady.port) as opened:
        opened.sendall(b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b"HTTP/1.1" not in opened.recv(1_000)
    assert f"listening on https://127.0.0.1:{steady.port}" in steady.log()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_versions_that_were_broken_are_not_spoken(steady: ApiServer, version: ssl.TLSVersion) -> None:
    context = trusting_all()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSVersion"):
        context.minimum_version = context.maximum_version = version
    with connected(steady.port) as opened, pytest.raises(OSError):
        context.wrap_socket(opened)


def test_a_browser_gets_a_cookie_for_this_host_alone_and_comes_by_https_from_then_on(steady: ApiServer) -> None:
    with steady.client() as client:
        signed_in = client.post("/session", json={"key": KEY}, headers={"Host": "10.0.0.1"})
        cookie = signed_in.headers["set-cookie"]
        assert cookie.startswith("__Host-")
        assert "; Secure" in cookie
        assert signed_in.headers["strict-transport-security"] == "max-age=31536000"
        # It would hold for every other server on this machine.
        assert "strict-transport-security" not in client.get("/health", headers={"Host": "localhost:1"}).headers


def test_streams_and_websockets_work_inside_of_tls(steady: ApiServer, running_target: TargetServer) -> None:
    with steady.client(**{"X-API-Key": KEY}) as client:
        run = client.post("/runs", json={"spec": spec(running_target, total_requests=2)}).json()["id"]
        ended(client, run)
        kinds = [kind for _, kind, _ in events(client, run)]
    assert kinds[-1] == "finished", kinds
    upgrade = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
    upgrade.append("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    with connected(steady.port) as opened, trusting_all().wrap_socket(opened) as secure:
        secure.sendall(head("GET", f"/api/v1/runs/{run}/ws", steady.port, f"X-API-Key: {KEY}", *upgrade))
        answered = b""
        while b'"finished"' not in answered:
            piece = secure.recv(65_536)
            assert piece, answered
            answered += piece
    assert answered.startswith(b"HTTP/1.1 101 ")


def test_a_large_answer_arrives_whole(steady: ApiServer) -> None:
    with steady.client(**{"X-API-Key": KEY, "Connection": "close"}) as client:
        document = client.get("/openapi.json")
    assert document.json()["info"]["title"] == "API Test Machine"


def test_a_handshake_that_never_ends_makes_room_for_others_and_ends_in_time(steady: ApiServer) -> None:
    began = time.monotonic()
    with ExitStack() as opened:
        halves = [opened.enter_context(connected(steady.port)) for _ in range(60)]
        for each in halves:
            # A record of a ClientHello that announces 512 bytes and brings none of them.
            each.sendall(b"\x16\x03\x01\x02\x00")
        with steady.client(**{"X-API-Key": KEY}) as client:
            assert client.get("/runs").status_code == 200
        for each in halves:
            assert _ends(each)
    assert time.monotonic() - began >= HANDSHAKE_SECONDS - 1


def _ends(opened: socket.socket) -> bool:
    try:
        while opened.recv(1_000):
            pass
    except ConnectionResetError:
        pass
    return True


def test_garbage_instead_of_a_handshake_is_no_fault(steady: ApiServer) -> None:
    for data in (b"\0" * 1_000, b"\x16\x03\x01\xff\xff" + b"a" * 70_000, b"\x15\x03\x01\x00\x02\x02\x28", b""):
        with connected(steady.port) as opened:
            opened.sendall(data)
            opened.shutdown(socket.SHUT_WR)
            assert _ends(opened)
    with steady.client() as client:
        assert client.get("/health").status_code == 200


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.prove), 2])
def test_a_renewed_certificate_is_shown_to_new_connections_and_ends_no_old_one(
    pair: Pair, tmp_path: Path, workers: int
) -> None:
    server = ApiServer(
        tmp_path / "data",
        workers=workers,
        API_TEST_MACHINE_API_KEY=KEY,
        **pair.environment,
    ).ready()
    try:
        with server.client() as client:
            assert client.get("/health").status_code == 200
            first, renewed = shown(server.port), pair.authority.server("127.0.0.1", "renewed.example")
            pair.renew(renewed)
            eventually(lambda: all(shown(server.port) == der(renewed) for _ in range(4 * workers)))
            assert first != der(renewed)
            assert client.get("/health").status_code == 200
        assert "the certificate was renewed" in server.log()
    finally:
        server.stop()


def test_a_broken_pair_leaves_the_old_one_in_use_until_it_is_whole(pair: Pair, tmp_path: Path) -> None:
    server = ApiServer(tmp_path / "data", **pair.environment).ready()
    try:
        first, renewed = shown(server.port), pair.authority.server("127.0.0.1", "renewed.example")
        pair.replace(renewed.certificate, pair.certificate)
        eventually(lambda: shown(server.port) == first and "was not renewed" in server.log())
        pair.certificate.write_text("nothing that OpenSSL can read")
        eventually(lambda: shown(server.port) == first and server.log().count("was not renewed") == 2)
        pair.key.unlink()
        assert shown(server.port) == first
        pair.renew(renewed)
        eventually(lambda: shown(server.port) == der(renewed))
    finally:
        server.stop()
    assert "Traceback" not in server.log()


def test_the_command_line_reaches_it_through_an_authority_of_its_own(
    steady: ApiServer, steady_pair: Pair, tmp_path: Path
) -> None:
    for extra, code in (({"SSL_CERT_FILE": str(steady_pair.authority.ca_file)}, 0), ({}, 1)):
        done = _atm("list", "--json", "--server", steady.url, data_dir=tmp_path / "client", **extra)
        assert (done.returncode == 0) == (code == 0), done.stderr
        if code:
            assert "SSL_CERT_FILE" in done.stdout + done.stderr
        else:
            assert "runs" in json.loads(done.stdout)


def test_agents_over_http_are_served_over_tls_too(pair: Pair, tmp_path: Path) -> None:
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ATM_", "API_TEST"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "atm", "mcp", "--http", "--port", str(port)],
        env={**environment, "ATM_DATA_DIR": str(tmp_path / "data"), "ATM_MCP_KEY": KEY, **pair.environment},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        said = ""
        while "listens on" not in said:
            said = process.stderr.readline()
            assert said, "it ended"
        assert f"https://127.0.0.1:{port}/mcp" in said
        trusted = ssl.create_default_context(cafile=str(pair.authority.ca_file))
        headers = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {KEY}"}
        with httpx.Client(verify=trusted, headers=headers, trust_env=False, timeout=120) as client:
            url = f"https://127.0.0.1:{port}/mcp"
            start = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
            begun = client.post(url, json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": start})
            assert begun.status_code == 200, begun.text
            session = {"mcp-session-id": begun.headers["mcp-session-id"]}
            client.post(url, json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=session)
            call = {"name": "list_tests", "arguments": {}}
            # Its own server speaks no TLS: the certificate is for this one's name.
            answer = client.post(
                url, json={"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}, headers=session
            )
            assert '"isError":false' in answer.text.replace(" ", ""), answer.text
    finally:
        process.terminate()
        process.communicate(timeout=60)


def _atm(*words: str, data_dir: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ATM_", "API_TEST", "SSL_"))}
    return subprocess.run(
        [sys.executable, "-m", "atm", *words],
        env={**inherited, "ATM_DATA_DIR": str(data_dir), "ATM_API_KEY": KEY, **environment},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_a_certificate_that_cannot_be_used_ends_the_start(pair: Pair, tmp_path: Path) -> None:
    other = pair.authority.server("other.example")
    broken = tmp_path / "broken.pem"
    broken.write_text("x")
    encrypted = tmp_path / "encrypted.key"
    _encrypt(pair.key, encrypted)
    cases = [
        (pair.certificate, other.key, "does not belong"),
        (tmp_path / "missing.pem", pair.key, "cannot be read"),
        (broken, pair.key, "no PEM"),
        (pair.certificate, encrypted, "encrypted"),
        (pair.certificate, None, "belong together"),
        (None, pair.key, "belong together"),
    ]
    for certificate, key, words in cases:
        with pytest.raises(SettingsError, match=words) as refused:
            certificate_of(Settings(data_dir=tmp_path, tls_cert=certificate, tls_key=key))
        assert refused.value.problems[0].code == "bad_certificate"
    done = _atm("serve", "--tls-cert", str(broken), "--tls-key", str(pair.key), data_dir=tmp_path / "data")
    assert done.returncode == 2, done
    assert "no PEM" in done.stderr
    assert "Traceback" not in done.stderr


def _encrypt(key: Path, place: Path) -> None:
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    loaded = load_pem_private_key(key.read_bytes(), None)
    place.write_bytes(loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))


@pytest.mark.parametrize(
    ("host", "settings", "warns"),
    [
        ("0.0.0.0", {}, True),
        ("::", {}, True),
        ("192.0.2.1", {}, True),
        ("server.example", {}, True),
        ("127.0.0.1", {}, False),
        ("::1", {}, False),
        ("localhost", {}, False),
        ("0.0.0.0", {"tls_cert": Path("/x")}, False),
        ("0.0.0.0", {"trusted_proxies": ("10.0.0.1",)}, False),
    ],
)
def test_a_start_in_clear_text_beyond_this_machine_warns(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, host: str, settings: dict[str, object], warns: bool
) -> None:
    logging.getLogger("atm").propagate = True
    with caplog.at_level(logging.WARNING, logger="atm.http"):
        warn_of_clear_text(Settings(data_dir=tmp_path, **settings), host)  # type: ignore[arg-type]
    assert ("travel in clear" in caplog.text) == warns
