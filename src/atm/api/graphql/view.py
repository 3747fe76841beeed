"""The view of Strawberry: operations over HTTP, and over WebSocket (graphql-transport-ws)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from json import JSONDecodeError
from typing import Any

from cross_web import HTTPException
from pydantic_core import to_json
from starlette.requests import HTTPConnection, Request
from starlette.types import Receive, Scope, Send
from strawberry import UNSET
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http import process_result
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from atm.api.errors import response
from atm.api.graphql.context import Context
from atm.api.graphql.errors import shown_errors
from atm.api.graphql.schema import SCHEMA
from atm.api.guard import ADMIT
from atm.errors import Problem
from atm.models.bounded_json import load_bounded

log = logging.getLogger("atm.api")

INIT_SECONDS = 10
"""Time for `connection_init` on a new WebSocket."""
MOST_SUBSCRIPTIONS = 20
"""Most operations of one WebSocket at the same time."""


class View(GraphQL):
    """The library's view, with our context, JSON bounds and errors."""

    def __init__(self) -> None:
        super().__init__(
            SCHEMA,
            graphql_ide=None,
            subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL],
            connection_init_wait_timeout=timedelta(seconds=INIT_SECONDS),
            max_subscriptions_per_connection=MOST_SUBSCRIPTIONS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; a request that is no operation gets a problem document."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        try:
            answer = await self.run(Request(scope, receive))
        except HTTPException as error:
            hint = "send a JSON object with `query`, and `variables` if it has any"
            problem = Problem(error.reason or "this is no GraphQL request", "bad_graphql_request", hint=hint)
            answer = response(error.status_code, [problem], scope["state"]["request_id"])
        await answer(scope, receive, send)

    async def get_context(self, request: HTTPConnection, response: Any) -> Context:
        """Return what the resolvers see."""
        return Context(request)

    async def process_result(self, request: Request, result: Any) -> Any:
        """Return the answer with converted errors."""
        if result.errors:
            result.errors = shown_errors(result.errors, Context(request))
        return process_result(result)

    async def on_ws_connect(self, context: Context) -> Any:
        """Admit a WebSocket by the key in the payload of `connection_init`, if its handshake had none."""
        state = context.connection.scope["state"]
        if state.get("principal") is None:
            refusal = await state[ADMIT](_key_of(context.connection_params or {}))
            if refusal:
                log.info("GraphQL WebSocket refused: %s", refusal, extra={"request_id": context.request_id})
                raise ConnectionRejectionError
        return UNSET

    def should_render_graphql_ide(self, request: Any) -> bool:
        """The dashboard has the page for people."""
        return False

    def is_websocket_origin_allowed(self, request: Any, origin: str) -> bool:
        """The guard has checked the origin, which knows proxies and the allowed origins."""
        return True

    def decode_json(self, data: str | bytes) -> Any:
        """Read JSON within the bounds of all bodies."""
        try:
            return load_bounded(data.encode() if isinstance(data, str) else data)
        except ValueError as error:
            # The type that the library expects, for bounds too.
            raise JSONDecodeError(str(error), "", 0) from error

    def encode_json(self, data: object) -> str:
        """Return JSON; infinite numbers are strings, as everywhere."""
        return to_json(data, inf_nan_mode="strings").decode()


def _key_of(payload: Mapping[str, object]) -> str:
    """Return the key of a payload under the names of the headers, in any case; empty without one."""
    named = {name.lower(): value for name, value in payload.items() if isinstance(value, str)}
    scheme, _, bearer = named.get("authorization", "").partition(" ")
    return named.get("x-api-key") or (bearer.strip() if scheme.lower() == "bearer" else "")


VIEW = View()
