from __future__ import annotations

import pytest

from atm.plan.spec_mask import is_sensitive, masked_spec, masked_url, shown_url


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


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("{{base}}/users", "https://h:81/api/users"),
        ("{{ base }}/{{id|raw}}", "https://h:81/api/7"),
        ("{{base}}/{{uuid}}/{{unset}}", "https://h:81/api/{{uuid}}/{{unset}}"),
        ("{{base}}/{{trace}}/{{env:HOST}}", "https://h:81/api/{{trace}}/{{env:HOST}}"),
        ("{{base}}/{{api_key}}", "https://h:81/api/{{api_key}}"),
        ("{{base}}/?token={{id}}&page={{id}}", "https://h:81/api/?token=***&page=7"),
        ("{{account}}/x", "https://***@h/x"),
        (r"{{base}}/\{{id}}", r"https://h:81/api/\{{id}}"),
    ],
)
def test_a_listed_url_has_the_specs_own_values_and_no_secret(url: str, shown: str) -> None:
    variables = {
        "base": "https://h:81/api",
        "id": "7",
        "trace": "a-{{uuid}}",
        "api_key": "hush",
        "account": "https://ada:hush@h",
    }
    assert shown_url(url, variables) == shown


def test_rows_of_test_data_are_masked_by_their_columns() -> None:
    data = {
        "accounts": {"columns": ["name", "password"], "rows": [["ada", "pw"], {"name": "bob", "password": "pw"}]},
        "tokens": {"columns": ["token"], "rows": ["a", "b"]},
        "people": {"rows": [{"name": "ada", "api_key": "k"}]},
        "file": {"file": "accounts.csv"},
    }
    assert masked_spec({"data": data})["data"] == {
        "accounts": {"columns": ["name", "password"], "rows": [["ada", "***"], {"name": "bob", "password": "***"}]},
        "tokens": {"columns": ["token"], "rows": ["***", "***"]},
        "people": {"rows": [{"name": "ada", "api_key": "***"}]},
        "file": {"file": "accounts.csv"},
    }
