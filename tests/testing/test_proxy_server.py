from __future__ import annotations

from collections.abc import Iterator

import pytest

from atm.errors import TargetServerError
from atm.testing import ProxyServer, TargetServer
from tests.testing.wire import Wire, request


@pytest.fixture
def proxy() -> Iterator[ProxyServer]:
    with ProxyServer() as proxy:
        yield proxy


def test_absolute_form_is_forwarded_in_origin_form(target: TargetServer, proxy: ProxyServer) -> None:
    with Wire(proxy.port) as wire:
        sent = request(f"{target.url}/echo/raw?x=1", "Proxy-Connection: keep-alive", method="POST", body=b"abc")
        wire.send(sent)
        raw = wire.answer().body
    assert raw == b"POST /echo/raw?x=1 HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
    (recorded,) = proxy.requests()
    assert (recorded.method, recorded.target, recorded.status) == ("POST", f"{target.url}/echo/raw?x=1", 200)
    assert ("Proxy-Connection", "keep-alive") in recorded.headers


def test_a_chunked_upload_and_a_chunked_answer_pass_as_they_are(target: TargetServer, proxy: ProxyServer) -> None:
    body = b"3\r\nabc\r\n0\r\nT: 1\r\n\r\n"
    head = f"POST {target.url}/chunked?trailers=1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    with Wire(proxy.port) as wire:
        wire.send(head + body)
        assert wire.answer().body == b"0123456789abcdef" * 4
    assert target.record()[0].body_bytes == 3


def test_connect_opens_a_tunnel_that_stays_open(target: TargetServer, proxy: ProxyServer) -> None:
    with Wire(proxy.port) as wire:
        wire.send(request(f"127.0.0.1:{target.port}", method="CONNECT"))
        assert wire.head().status == 200
        for _ in range(3):
            assert wire.get("/fixed?bytes=100000").body == b"x" * 100_000
    assert [(recorded.method, recorded.status) for recorded in proxy.requests()] == [("CONNECT", 200)]
    assert target.stats().connections_accepted == 1


def test_credentials_are_demanded(target: TargetServer) -> None:
    with ProxyServer(username="me", password="secret") as proxy:
        with Wire(proxy.port) as wire:
            refused = wire.get(f"{target.url}/")
            assert (refused.status, refused.headers["proxy-authenticate"]) == (407, "Basic")
        with Wire(proxy.port) as wire:
            assert wire.get(f"{target.url}/", "Proxy-Authorization: Basic bWU6c2VjcmV0").status == 200
        assert [recorded.status for recorded in proxy.requests()] == [407, 200]
    assert target.stats().received == 1


def test_it_refuses_when_told_and_what_is_not_here(proxy: ProxyServer) -> None:
    with Wire(proxy.port) as wire:
        assert wire.get("http://192.0.2.1/").status == 403
    with Wire(proxy.port) as wire:
        wire.send(request("127.0.0.1:1", method="CONNECT"))
        assert wire.answer().status == 502
    with ProxyServer(refuse_status=503) as refusing, Wire(refusing.port) as wire:
        wire.send(request("127.0.0.1:1", method="CONNECT"))
        assert wire.answer().status == 503


def test_a_proxy_that_does_not_run_is_said() -> None:
    with pytest.raises(TargetServerError, match="this proxy is not running"):
        _ = ProxyServer().url
