from __future__ import annotations

import pytest

from atm.plan.masking import is_sensitive, masked_spec, masked_url


def test_literal_credentials_are_masked_and_templates_stay() -> None:
    spec = {
        "name": "a",
        "url": "http://ada:secret@h/x?api_key=abc&page=1&token={{env:T}}",
        "headers": {"Authorization": "Bearer abc", "cookie": "a=b", "X-API-Key": "{{env:KEY}}", "X-A": "1"},
        "auth": {"type": "basic", "username": "ada", "password": "pw"},
        "proxy": "http://u:p@proxy:3128",
        "variables": {"password": "hunter2", "base": "http://u:p@h", "apiKey": "k"},
        "endpoints": [
            {
                "name": "b",
                "headers": {"Authorization": "Bearer {{env:T}}"},
                "body": {"user": "ada", "password": "pw", "deep": [{"client_secret": "s", "tokens": 5}]},
                "auth": {"type": "jwt", "secret": "{{env:S}}", "claims": {"a": 1}},
            }
        ],
    }
    assert masked_spec(spec) == {
        "name": "a",
        "url": "http://***@h/x?api_key=***&page=1&token={{env:T}}",
        "headers": {"Authorization": "***", "cookie": "***", "X-API-Key": "{{env:KEY}}", "X-A": "1"},
        "auth": {"type": "basic", "username": "ada", "password": "***"},
        "proxy": "http://***@proxy:3128",
        "variables": {"password": "***", "base": "http://***@h", "apiKey": "***"},
        "endpoints": [
            {
                "name": "b",
                "headers": {"Authorization": "Bearer {{env:T}}"},
                "body": {"user": "ada", "password": "***", "deep": [{"client_secret": "***", "tokens": 5}]},
                "auth": {"type": "jwt", "secret": "{{env:S}}", "claims": {"a": 1}},
            }
        ],
    }


@pytest.mark.parametrize(
    "name", ["Authorization", "Set-Cookie", "x-auth-token", "API_KEY", "clientSecret", "db.password"]
)
def test_names_of_credentials_are_known(name: str) -> None:
    assert is_sensitive(name)


@pytest.mark.parametrize("name", ["X-Tokens-Left", "Accept", "monkey", "secretary", "username"])
def test_other_names_are_left_alone(name: str) -> None:
    assert not is_sensitive(name)


def test_a_url_without_secrets_stays_as_it_is() -> None:
    assert masked_url("http://h:81/{{uuid}}?a=b@c&d") == "http://h:81/{{uuid}}?a=b@c&d"
