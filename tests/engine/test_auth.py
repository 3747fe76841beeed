from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import Any
from urllib.parse import quote

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from atm.clock import SystemClock
from atm.engine.auth import CredentialKeeper, sign
from atm.errors import CredentialError
from atm.library import compile_spec, run_sync
from atm.models.auth import Jwt
from atm.models.outcome import RunStatus
from atm.testing import ManualClock, TargetServer
from atm.testing.target_server.tokens import TokenMode


def client_credentials(target: TargetServer, **fields: Any) -> dict[str, Any]:
    return {
        "type": "oauth2_client_credentials",
        "token_url": f"{target.url}/oauth/token",
        "client_id": "atm-client",
        "client_secret": "atm-secret",
        **fields,
    }


def spec(target: TargetServer, auth: dict[str, Any], path: str = "/auth/oauth", **fields: Any) -> dict[str, Any]:
    return {"name": "login", "url": target.url + path, "auth": auth, "total_requests": 20, "concurrency": 2, **fields}


def message_of(target: TargetServer, auth: dict[str, Any]) -> str:
    with pytest.raises(CredentialError) as caught:
        run_sync(spec(target, auth))
    return str(caught.value)


@pytest.mark.parametrize(
    "auth",
    [
        {"type": "oauth2_client_credentials", "client_secret": "atm-secret"},
        {
            "type": "oauth2_password_grant",
            "client_secret": "atm-secret",
            "username": "atm-user",
            "password": "atm-password",
        },
    ],
    ids=lambda auth: auth["type"],
)
def test_a_token_is_fetched_once_and_sent_with_every_request(target: TargetServer, auth: dict[str, Any]) -> None:
    token_url = f"{target.url}/oauth/token"
    result = run_sync(spec(target, {"token_url": token_url, "client_id": "atm-client", **auth}))
    assert result.metrics.status_code_counts == {200: 20}
    assert target.stats().tokens_issued == 1
    assert "atm-secret" not in result.model_dump_json()
    assert "atm-password" not in result.model_dump_json()


def test_endpoints_with_the_same_credentials_share_a_token(target: TargetServer) -> None:
    endpoints = [
        {"name": name, "url": f"{target.url}/auth/oauth", "auth": client_credentials(target)} for name in ("a", "b")
    ]
    result = run_sync({"name": "two", "endpoints": endpoints, "total_requests": 10})
    assert result.metrics.successful_requests == 10
    assert target.stats().tokens_issued == 1


def test_a_token_is_renewed_before_it_expires_while_the_run_goes_on(target: TargetServer) -> None:
    target.set_token_mode(TokenMode.OK, expires_in=1.5)
    result = run_sync(
        spec(
            target,
            client_credentials(target),
            total_requests=None,
            duration="3.5s",
            load={"rate": 50},
            concurrency=None,
        )
    )
    assert result.metrics.status_code_counts == {200: 175}
    assert 3 <= target.stats().tokens_issued <= 4


def test_a_token_that_cannot_be_renewed_ends_the_run_as_failed_with_the_reason(target: TargetServer) -> None:
    target.set_token_mode(TokenMode.OK, expires_in=0.5)

    def break_the_token_server(_interval: object) -> None:
        target.set_token_mode(TokenMode.SERVER_ERROR)

    result = run_sync(
        spec(
            target, client_credentials(target), total_requests=None, duration="20s", load={"rate": 20}, concurrency=None
        ),
        on_interval=break_the_token_server,
    )
    assert result.run.status is RunStatus.FAILED
    assert result.run.error == f"the token server {target.url}/oauth/token gave no token: 500 Internal Server Error"
    assert result.verdict.passed is None
    assert result.metrics.duration_seconds < 5


def test_a_refused_client_is_told_with_the_servers_reason(target: TargetServer) -> None:
    assert message_of(target, client_credentials(target, client_secret="wrong")) == (
        f"error: the token server {target.url}/oauth/token gave no token: 401 Unauthorized, invalid_client "
        "[token_refused]\n"
        "  at: auth\n"
        "  hint: Check client_id, client_secret and scope"
    )


def test_a_refused_client_of_an_endpoint_is_told_at_the_endpoint(target: TargetServer) -> None:
    endpoints = [
        {"name": "open", "url": f"{target.url}/"},
        {"name": "closed", "url": f"{target.url}/", "auth": client_credentials(target, client_secret="wrong")},
    ]
    with pytest.raises(CredentialError) as caught:
        run_sync({"name": "two", "endpoints": endpoints})
    assert [problem.path for problem in caught.value.problems] == ["endpoints[1].auth"]


def test_a_token_server_that_repeats_the_secret_is_not_repeated(target: TargetServer) -> None:
    said = b'{"error": "bad s3cret-one", "error_description": "no client with s3cret-one"}'
    answer = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(said)
    path = f"/raw?base64={quote(b64encode(answer + said).decode())}"
    grant = client_credentials(target, client_secret="s3cret-one", token_url=f"{target.url}{path}")
    message = message_of(target, grant)
    assert "400 Bad Request, bad *** (no client with ***)" in message
    assert "s3cret-one" not in message


def test_a_token_server_that_talks_nonsense_is_told(target: TargetServer) -> None:
    target.set_token_mode(TokenMode.GARBAGE)
    assert "gave no token: 200 OK, but no access_token in a JSON object" in message_of(
        target, client_credentials(target)
    )


def test_a_token_server_that_is_not_there_is_told(target: TargetServer) -> None:
    message = message_of(target, client_credentials(target, token_url="http://127.0.0.1:1/token?key=hidden"))
    assert "the token server http://127.0.0.1:1/token could not be reached: " in message
    assert "hint: Try `curl -i http://127.0.0.1:1/token`" in message
    assert "hidden" not in message


def test_a_wrong_token_url_is_told(target: TargetServer) -> None:
    message = message_of(target, client_credentials(target, token_url=f"{target.url}/status/404"))
    assert "gave no token: 404" in message
    assert "Check token_url" in message


def test_a_jwt_is_signed_with_its_claims(target: TargetServer) -> None:
    auth = Jwt(secret="s" * 32, issuer="atm", subject="me", audience="shop", claims={"role": "tester"}, expires_in=60)
    signed = sign(auth, 1_700_000_000)
    claims = jwt.decode(signed.value, "s" * 32, ["HS256"], audience="shop", options={"verify_exp": False})
    assert claims == {
        "role": "tester",
        "iat": 1_700_000_000,
        "exp": 1_700_000_060,
        "iss": "atm",
        "sub": "me",
        "aud": "shop",
    }
    assert signed.lifetime_seconds == 60


def test_a_jwt_may_be_signed_by_a_private_key() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    signed = sign(Jwt(secret=pem, algorithm="RS256", expires_in=60), 1_700_000_000)
    claims = jwt.decode(signed.value, key.public_key(), ["RS256"], options={"verify_exp": False})
    assert claims["exp"] == 1_700_000_060


def test_a_key_that_does_not_fit_the_algorithm_is_told() -> None:
    with pytest.raises(CredentialError) as caught:
        sign(Jwt(secret="no key at all", algorithm="RS256"), 0)
    assert "the JWT could not be signed with RS256" in str(caught.value)
    assert "no key at all" not in str(caught.value)


def test_signed_tokens_open_the_target(target: TargetServer) -> None:
    auth = {"type": "jwt", "secret": "atm-jwt-secret-atm-jwt-secret-32"}
    result = run_sync(spec(target, auth, "/auth/jwt?secret=atm-jwt-secret-atm-jwt-secret-32"))
    assert result.metrics.status_code_counts == {200: 20}


def test_a_token_without_a_lifetime_is_never_renewed() -> None:
    test = compile_spec({"name": "plain", "url": "http://127.0.0.1:1/"})
    keeper = CredentialKeeper({}, test.plan.connections, {}, SystemClock())
    asyncio.run(asyncio.wait_for(keeper.keep(lambda *_: None), 1))


def test_renewals_follow_the_clock_that_is_given() -> None:
    test = compile_spec({"name": "plain", "url": "http://127.0.0.1:1/"})
    clock = ManualClock()
    keeper = CredentialKeeper(
        {"auth": Jwt(secret="s" * 32, expires_in=100)}, test.plan.connections, test.secrets, clock
    )
    renewed: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def scenario() -> tuple[str, tuple[str, str]]:
        first = (await keeper.fetch())["auth"]
        clock.advance(seconds=80.1)
        task = asyncio.create_task(keeper.keep(lambda slot, value: renewed.put_nowait((slot, value))))
        second = await asyncio.wait_for(renewed.get(), 5)
        task.cancel()
        return first, second

    first, (slot, second) = asyncio.run(scenario())
    assert slot == "auth"
    assert second != first
