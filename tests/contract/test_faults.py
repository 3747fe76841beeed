"""Faults that were met in the field: the outcome and the words are the same on every engine."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from atm.engine.base import Engine
from atm.errors import EngineError
from atm.models.outcome import Outcome
from atm.plan.connections import Connections, Origin, Tls
from atm.plan.load_plan import BodyCheck, Step
from atm.testing import TargetServer
from atm.testing.certificates import Authority, CertificateFiles, self_signed
from tests.contract.engine_runs import run
from tests.contract.plans import ANY_STATUS, closed, http, plan, step
from tests.contract.test_answers import raw

OK = b"HTTP/1.1 200 OK\r\n"
TEXT = b"hello hello hello, compressed"


@pytest.mark.parametrize("value", ["close", "Close", "keep-alive, CLOSE", "upgrade ,close"])
def test_a_connection_that_the_request_closes_is_not_used_again(
    engine: Engine, target: TargetServer, value: str
) -> None:
    one = step("/raw?complete=200&then=keep", method="PUT", body=(OK + b"Content-Length: 0\r\n\r\n").decode())
    closing = step(
        "/raw?complete=200&then=keep",
        method="PUT",
        body=(OK + b"Content-Length: 0\r\n\r\n").decode(),
        headers=(("Connection", value),),
    )
    kept = run(engine, plan(http(target), one, load=closed(1), total=6))
    ran = run(engine, plan(http(target), closing, load=closed(1), total=6))
    assert (kept.total().ok, kept.generated("dials")) == (6, 1)
    assert (ran.total().ok, ran.generated("dials")) == (6, 6)
    assert (ran.total().redialled, ran.generated("connections_lost")) == (0, 0)


@pytest.mark.parametrize(
    "head",
    [
        b"Connection: Close\r\n",
        b"Connection: foo, close\r\n",
        b"Connection: close\r\nConnection: keep-alive\r\n",
        b"Connection: keep-alive,\r\n  close\r\n",
    ],
)
def test_a_connection_that_the_answer_closes_is_not_used_again(
    engine: Engine, target: TargetServer, head: bytes
) -> None:
    for version in (b"HTTP/1.1", b"HTTP/1.0"):
        answer = version + b" 200 OK\r\n" + head + b"Content-Length: 0\r\n\r\n"
        made = plan(http(target), step(raw(answer, then="keep", complete="200")), load=closed(1), total=4)
        ran = run(engine, made)
        assert (ran.total().ok, ran.generated("dials")) == (4, 4), (version, ran.failures)
        assert (ran.total().redialled, ran.generated("connections_lost")) == (0, 0)


def _checked(body: bytes, *lines: bytes, pattern: str = "compressed") -> Step:
    head = OK + b"".join(line + b"\r\n" for line in lines) + b"Content-Length: %d\r\n\r\n" % len(body)
    return step(raw(head + body, then="keep", complete="200"), checks=(BodyCheck("contains", pattern),))


def _first_failure(engine: Engine, target: TargetServer, one: Step) -> str:
    ran = run(engine, plan(http(target), one, load=closed(1), total=2))
    if ran.total().ok == 2:
        return ""
    assert ran.total().outcomes == {Outcome.CHECK_FAILED: 2}
    ((_, message),) = ran.failures
    return message


def _deflated(window: int) -> bytes:
    coder = zlib.compressobj(wbits=window)
    return coder.compress(TEXT) + coder.flush()


GZIP = gzip.compress(TEXT)
SOUND = {
    "two members": (b"gzip", gzip.compress(b"hello ") + GZIP),
    "something behind the last member": (b"gzip", GZIP + b"\0\0\0rest"),
    "x-gzip": (b"x-gzip", GZIP),
    "zlib": (b"deflate", _deflated(15)),
    "raw deflate": (b"deflate", _deflated(-15)),
}
UNSOUND = {
    "text for gzip": ("gzip", TEXT),
    "half of gzip": ("gzip", GZIP[: len(GZIP) // 2]),
    "gzip without its last byte": ("gzip", GZIP[:-1]),
    "half of a second member": ("gzip", GZIP + GZIP[: len(GZIP) // 2]),
    "half of zlib": ("deflate", _deflated(15)[:12]),
    "text for br": ("br", TEXT),
    "text for zstd": ("zstd", TEXT),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_compressed_body_is_checked_as_text(engine: Engine, target: TargetServer, name: str) -> None:
    coding, body = SOUND[name]
    assert _first_failure(engine, target, _checked(body, b"Content-Encoding: " + coding)) == ""


@pytest.mark.parametrize("name", UNSOUND)
def test_a_body_that_does_not_decode_fails_its_check_with_that_word(
    engine: Engine, target: TargetServer, name: str
) -> None:
    coding, body = UNSOUND[name]
    if coding in ("br", "zstd") and engine.name == "asyncio":
        pytest.skip("the asyncio engine takes br and zstd as they are (docs/reference/engines.md)")
    one = _checked(body, b"Content-Encoding: " + coding.encode(), pattern="hello")
    assert _first_failure(engine, target, one) == f"body could not be decoded as {coding}"


@pytest.mark.parametrize(
    ("content_type", "body", "pattern"),
    [
        (b"text/plain; charset=ISO-8859-1", b"caf\xe9 \x80", "café €"),
        (b'text/plain; a=b; Charset="latin1"', b"caf\xe9", "café"),
        (b"text/plain; charset=utf-16le", "café".encode("utf-16-le"), "café"),
        (b"text/plain; charset=shift_jis", "テスト".encode("cp932"), "テスト"),
        (b"text/plain; charset=nonsense", "café".encode(), "café"),
        (b"text/plain; charset=latin1", b"\xef\xbb\xbf" + "café".encode(), "café"),
        (b"text/plain", "café".encode(), "café"),
    ],
)
def test_a_check_reads_the_charset_that_is_declared(
    engine: Engine, target: TargetServer, content_type: bytes, body: bytes, pattern: str
) -> None:
    one = _checked(body, b"Content-Type: " + content_type, pattern=pattern)
    assert _first_failure(engine, target, one) == ""


@pytest.mark.parametrize("before", [b"\r\n", b"\n", b"\r\n\r\n"])
def test_empty_lines_before_an_answer_are_skipped(engine: Engine, target: TargetServer, before: bytes) -> None:
    answer = before + OK + b"Content-Length: 2\r\n\r\nok"
    made = plan(http(target), step(raw(answer, then="keep", complete="200")), load=closed(1), total=3)
    ran = run(engine, made)
    assert (ran.total().ok, ran.total().bytes_received) == (3, 3 * len(answer))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"X Y: 1", 'bad header name "X Y"'),
        (b"X-\0: 1", 'bad header name "X-\\x00"'),
        (b": 1", 'bad header name ""'),
        (b"X-A: b\0c", 'bad value of header "X-A"'),
        (b"X" * 50 + b" : 1", f'bad header name "{"X" * 40}…"'),
    ],
)
def test_a_bad_header_in_an_answer_is_named(engine: Engine, target: TargetServer, line: bytes, why: str) -> None:
    answer = OK + b"X-Good: yes\r\n" + line + b"\r\nContent-Length: 0\r\n\r\n"
    ran = run(engine, plan(http(target), step(raw(answer), expected=ANY_STATUS), load=closed(1), total=2))
    assert ran.failures == {(Outcome.PROTOCOL_ERROR, f"not HTTP: {why}"): 2}


@contextmanager
def _tls_target(files: CertificateFiles) -> Iterator[int]:
    """A target that answers every request over TLS with this certificate; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)

    def serve(connection: socket.socket) -> None:
        try:
            with context.wrap_socket(connection, server_side=True) as stream:
                while stream.recv(4096):
                    stream.sendall(OK + b"Content-Length: 2\r\n\r\nok")
        except OSError:
            return  # the engine has refused the certificate, or closed

    def accept(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # closed by the test
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("is_authority", [True, False])
def test_a_self_signed_certificate_that_is_given_as_ca_is_trusted(
    engine: Engine, tmp_path: Path, is_authority: bool
) -> None:
    files = self_signed(tmp_path, "127.0.0.1", is_authority=is_authority)
    own = Connections(tls=Tls(ca_pem=files.certificate.read_text()))
    with _tls_target(files) as port:
        origin = Origin("https", "127.0.0.1", port, addresses=("127.0.0.1",))
        assert run(engine, plan(origin, load=closed(1), total=3, connections=own)).total().ok == 3
        # Not without it, and for no other name.
        assert run(engine, plan(origin, load=closed(1), total=2)).total().outcomes == {Outcome.TLS_ERROR: 2}
        other = Origin("https", "other.test", port, addresses=("127.0.0.1",))
        ran = run(engine, plan(other, load=closed(1), total=2, connections=own))
        assert ran.total().outcomes == {Outcome.TLS_ERROR: 2}


def test_a_self_signed_certificate_that_has_expired_is_not_trusted(engine: Engine, tmp_path: Path) -> None:
    files = self_signed(tmp_path, "127.0.0.1", is_authority=True, days=-1)
    own = Connections(tls=Tls(ca_pem=files.certificate.read_text()))
    with _tls_target(files) as port:
        origin = Origin("https", "127.0.0.1", port, addresses=("127.0.0.1",))
        ran = run(engine, plan(origin, load=closed(1), total=2, connections=own))
    assert ran.total().outcomes == {Outcome.TLS_ERROR: 2}


def test_a_client_key_that_cannot_be_used_is_refused_before_the_run(engine: Engine, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    client, other = Authority(tmp_path / "a").client("one"), Authority(tmp_path / "b").client("two")
    encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIBvTBXBgkqhkiG9w0BBQ0=\n-----END ENCRYPTED PRIVATE KEY-----\n"
    keys = {encrypted: "encrypted", other.key.read_text(): "belong", "nothing": "PEM"}
    for key, word in keys.items():
        tls = Tls(certificate_pem=client.certificate.read_text(), key_slot="key")
        origin = Origin("https", "127.0.0.1", 9, addresses=("127.0.0.1",))
        made = plan(origin, total=1, connections=Connections(tls=tls))
        with pytest.raises(EngineError) as caught:
            run(engine, made, secrets={"key": key})
        assert word in str(caught.value), caught.value
