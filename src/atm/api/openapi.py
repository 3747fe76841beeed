"""The OpenAPI document: FastAPI's, with the spec's own schema and the error responses added."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from atm.api.errors import MEDIA_TYPE
from atm.models.control.errors import ErrorDocument
from atm.models.control.runs import ListChange
from atm.models.events import EVENTS
from atm.models.schema import inline_schema
from atm.models.spec import TestSpec

DESCRIPTION = """Runs load tests, streams their progress and stores their results.

Send a key as `X-API-Key`; while no key exists, only local processes of the server's account have access. Errors are
problem+json: `detail` is a sentence, `errors` lists every problem with its place. Names of time fields end in the unit;
`null` means no data, and the string "Infinity" a value beyond every sample.
"""
_EVERYWHERE = {
    "401": "No key, or an invalid one",
    "403": "The key's role does not allow this, or the request comes from another site",
    "413": "The body is too large",
    "421": "The Host header is not an allowed host name",
    "422": "The request is invalid; `errors` lists the problems",
    "503": "The storage is unavailable or its data cannot be read; see `detail`",
}
_EXAMPLE = {
    "type": "about:blank",
    "title": "Unprocessable Content",
    "status": 422,
    "detail": '"G ET" is not an HTTP method',
    "code": "bad_method",
    "errors": [
        {"message": '"G ET" is not an HTTP method', "code": "bad_method", "path": "spec.method", "hint": "GET, POST, …"}
    ],
    "request_id": "7be1c5a90d2f",
}


def describe(app: FastAPI) -> None:
    """Install the OpenAPI document."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # how FastAPI wants it


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary="The Control API of API Test Machine",
        description=DESCRIPTION,
        routes=app.routes,
    )
    schemas = document["components"]["schemas"]
    # Errors have our own schema; metrics are an open set for clients, because later versions add some.
    for name in ("HTTPValidationError", "ValidationError", "Metric"):
        schemas.pop(name, None)
    schemas["ErrorDocument"] = _moved(ErrorDocument.model_json_schema(), schemas)
    schemas["TestSpec"] = _moved(inline_schema(TestSpec), schemas)
    schemas["RunEventMessage"] = _moved(EVENTS.json_schema(mode="serialization"), schemas)
    schemas["ListChange"] = _moved(ListChange.model_json_schema(mode="serialization"), schemas)
    document = dict(_with_spec(document))
    document["components"]["securitySchemes"] = {
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "session": {"type": "apiKey", "in": "cookie", "name": "atm_session"},
    }
    document["security"] = [{"key": []}, {"session": []}, {}]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _add_errors(path, operation)
    return document


def _add_errors(path: str, operation: dict[str, Any]) -> None:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ErrorDocument"}, "example": _EXAMPLE}}
    responses = operation["responses"]
    for status, response in responses.items():
        if status >= "400":
            response["content"] = response.get("content") if status == "503" and "health" in path else content
    for status, description in _EVERYWHERE.items():
        responses.setdefault(status, {"description": description, "content": content})
    responses.setdefault("default", {"description": "Any other error", "content": content})
    responses["422"] = {"description": _EVERYWHERE["422"], "content": content}


def _with_spec(part: Any) -> Any:
    """Replace `x-model` markers by references to the spec's schema, which pydantic cannot express."""
    if isinstance(part, dict):
        if "x-model" in part:
            return {"$ref": f"#/components/schemas/{part['x-model']}"}
        return {name: _with_spec(value) for name, value in part.items()}
    return [_with_spec(item) for item in part] if isinstance(part, list) else part


def _moved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Move the `$defs` of a schema to the components."""
    text = json.dumps(schema).replace("#/$defs/", "#/components/schemas/")
    moved: dict[str, Any] = json.loads(text)
    for name, part in moved.pop("$defs", {}).items():
        schemas.setdefault(name, part)
    return moved
