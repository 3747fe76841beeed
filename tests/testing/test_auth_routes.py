from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from urllib.parse import urlencode

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from atm.testing import TargetServer
from atm.testing.target_server.tokens import TokenMode
from tests.testing.wire import Answer, Wire

FORM = "Content-Type: application/x-www-form-urlencoded"
CLIENT = {"client_id": "atm-client", "client_secret": "atm-secret"}


@pytest.fixture
def wire(target: TargetServer) -> Iterator[Wire]:
    with Wire(target.port) as wire:
        yield wire


def basic(name: str, password: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def ask_token(wire: Wire, *headers: str, **form: str) -> Answer:
    return wire.get("/oauth/token", FORM, *headers, method="POST", body=urlencode(form).encode())


def test_bearer_basic_and_key_open_with_the_right_credentials_only(wire: Wire) -> None:
    assert wire.get("/auth/bearer", "Authorization: Bearer atm-token").status == 200
    refused = wire.get("/auth/bearer", "Authorization: Bearer nonsense")
    assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert wire.get("/auth/bearer?token=x", "authorization: bearer x").status == 200
    assert wire.get("/auth/basic", basic("atm-user", "atm-password")).status == 200
    assert wire.get("/auth/basic", basic("atm-user", "guess")).status == 401
    assert wire.get("/auth/basic", "Authorization: Basic %%%").status == 401
    assert wire.get("/auth/key", "X-API-Key: atm-key").status == 200
    assert wire.get("/auth/key?header=Api&key=k", "Api: k").status == 200
    assert wire.get("/auth/key").body == b"no X-API-Key header\n"


def test_a_token_of_either_grant_opens_until_it_expires(target: TargetServer, wire: Wire) -> None:
    granted = json.loads(ask_token(wire, grant_type="client_credentials", scope="a b", **CLIENT).body)
    assert (granted["token_type"], granted["expires_in"], granted["scope"]) == ("Bearer", 0.3, "a b")
    issued_at = time.monotonic()
    header = f"Authorization: Bearer {granted['access_token']}"
    assert wire.get("/auth/oauth", header).status == 200
    user = {"username": "atm-user", "password": "atm-password"}
    assert ask_token(wire, grant_type="password", client_id="atm-client", **user).status == 200
    assert ask_token(wire, basic("atm-client", "atm-secret"), grant_type="client_credentials").status == 200
    assert target.stats().tokens_issued == 3
    while time.monotonic() < issued_at + 0.3:
        assert wire.get("/delay/20").status == 200
    assert wire.get("/auth/oauth", header).body == b"the token expired\n"


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"grant_type": "client_credentials", "client_id": "atm-client"}, 401, "invalid_client"),
        (
            {"grant_type": "client_credentials", "client_id": "who", "client_secret": "atm-secret"},
            401,
            "invalid_client",
        ),
        ({"grant_type": "implicit", **CLIENT}, 400, "unsupported_grant_type"),
        (CLIENT, 400, "invalid_request"),
        ({"grant_type": "password", "username": "x", "password": "y", **CLIENT}, 400, "invalid_grant"),
    ],
)
def test_a_wrong_token_request_gets_the_standards_error(
    wire: Wire, form: dict[str, str], status: int, error: str
) -> None:
    answer = ask_token(wire, **form)
    assert (answer.status, json.loads(answer.body)["error"]) == (status, error)


def test_the_token_endpoint_fails_as_it_is_told_and_then_recovers(target: TargetServer, wire: Wire) -> None:
    good = {"grant_type": "client_credentials", **CLIENT}
    for mode, status in [
        (TokenMode.SERVER_ERROR, 500),
        (TokenMode.INVALID_CLIENT, 401),
        (TokenMode.GARBAGE, 200),
        (TokenMode.NO_TOKEN, 200),
    ]:
        target.set_token_mode(mode, times=1)
        answer = ask_token(wire, **good)
        assert answer.status == status
        assert b"access_token" not in answer.body
    assert b"access_token" in ask_token(wire, **good).body
    assert target.stats().tokens_issued == 1


def test_an_hs256_token_is_verified_with_its_claims(wire: Wire) -> None:
    secret = "atm-jwt-secret-of-at-least-32-bytes"
    token = jwt.encode({"sub": "me", "aud": "you", "iss": "us"}, secret, "HS256")
    header = f"Authorization: Bearer {token}"
    assert json.loads(wire.get("/auth/jwt?audience=you&issuer=us", header).body)["sub"] == "me"
    assert wire.get("/auth/jwt?audience=others", header).status == 401
    expired = jwt.encode({"exp": int(time.time()) - 10}, secret, "HS256")
    assert wire.get("/auth/jwt", f"Authorization: Bearer {expired}").body == b"Signature has expired\n"
    forged = jwt.encode({}, secret + "x", "HS256")
    assert wire.get("/auth/jwt", f"Authorization: Bearer {forged}").status == 401


def test_an_rs256_token_is_verified_with_the_public_key() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    token = jwt.encode({"sub": "me"}, key, "RS256")
    with TargetServer(jwt_public_key=public.decode()) as target, Wire(target.port) as wire:
        assert wire.get("/auth/jwt?algorithm=RS256", f"Authorization: Bearer {token}").status == 200
        assert wire.get("/auth/jwt?algorithm=HS256", f"Authorization: Bearer {token}").status == 401
        assert wire.get("/auth/jwt?algorithm=none", f"Authorization: Bearer {token}").status == 400
