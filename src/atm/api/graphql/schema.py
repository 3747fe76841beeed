"""The schema; `schema.graphql` at the root of the checkout is its text."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import strawberry
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig

from atm.api.graphql.errors import shown_errors
from atm.api.graphql.limits import Limits
from atm.api.graphql.mutations import mutation_type
from atm.api.graphql.queries import extend_types, query_type
from atm.api.graphql.scalars import SCALARS
from atm.api.graphql.subscriptions import subscription_type


class _Errors(SchemaExtension):
    """Converts the errors of operations over WebSocket; `view.py` does it for HTTP."""

    async def on_stream_result(self, result: Any) -> AsyncIterator[None]:
        """Convert the errors of one message."""
        if result.errors:
            result.errors = shown_errors(result.errors, self.execution_context.context)
        yield


class _Schema(strawberry.Schema):
    def process_errors(self, errors: Any, execution_context: Any = None) -> None:
        """Log nothing: `shown_errors` logs the unexpected ones, once and with the id of the request."""


def build() -> strawberry.Schema:
    """Build the schema."""
    extend_types()
    return _Schema(
        query_type(),
        mutation_type(),
        subscription_type(),
        extensions=[Limits, _Errors],
        config=StrawberryConfig(scalar_map=SCALARS, sort_schema=True),
    )


SCHEMA = build()
