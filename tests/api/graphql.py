"""How tests send GraphQL operations."""

from __future__ import annotations

from typing import Any

import httpx

from tests.api.server import ApiServer


def post(server: ApiServer, query: str, *, key: str | None = None, **variables: Any) -> httpx.Response:
    """Send an operation."""
    headers = {"X-API-Key": key} if key else {}
    with server.client(**headers) as client:
        return client.post(f"{server.url}/graphql", json={"query": query, "variables": variables})


def answer(server: ApiServer, query: str, *, key: str | None = None, **variables: Any) -> Any:
    """Send an operation that has no errors; its data."""
    response = post(server, query, key=key, **variables)
    assert response.status_code == 200, response.text
    document = response.json()
    assert "errors" not in document, document["errors"]
    return document["data"]


def error(server: ApiServer, query: str, *, key: str | None = None, **variables: Any) -> Any:
    """Send an operation with one error; that error."""
    document = post(server, query, key=key, **variables).json()
    assert len(document["errors"]) == 1, document
    return document["errors"][0]
