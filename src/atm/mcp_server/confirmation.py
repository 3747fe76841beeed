"""Elicitation: ask the user of the agent for confirmation, in both forms of the protocol.

Up to version 2025-11-25 the server sends `elicitation/create` during the call. Since 2026-07-28 the call ends with a
question, and the client repeats it with the response and a state that only this server can have created.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from mcp.server.mcpserver import Context
from mcp_types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequests, InputRequiredResult
from mcp_types.version import is_version_at_least
from pydantic import BaseModel, ConfigDict, Field

BETWEEN_CALLS_SINCE = "2026-07-28"
_QUESTION = "approval"
_MOST_OPEN = 1000


class Approval(BaseModel):
    """The form of a confirmation."""

    model_config = ConfigDict(extra="ignore")

    approve: bool = Field(description="Yes: do it this once. No: leave it.")


class QuestionError(Exception):
    """Ends the call with a question to the user; not a failure. Only `tool.py` catches it."""

    def __init__(self, result: InputRequiredResult) -> None:
        super().__init__("a question to the user of the agent")
        self.result = result


def can_ask(context: Context[Any, Any]) -> bool:
    """Whether the client supports elicitation by form."""
    capabilities = context.client_capabilities
    elicitation = capabilities.elicitation if capabilities else None
    # A client that lists no kind of elicitation supports forms (2025-06-18).
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


class Confirmation:
    """Asks for confirmation and accepts each response once."""

    def __init__(self) -> None:
        self._open: dict[str, str] = {}
        """State to the digest of its question."""

    async def approved(self, context: Context[Any, Any], question: str) -> bool:
        """Whether the user approved exactly this question; False if they declined or dismissed it.

        Raises QuestionError if the protocol ends the call with the question; the client then repeats the call.
        """
        if not is_version_at_least(context.protocol_version or "", BETWEEN_CALLS_SINCE):
            response = await context.elicit(question, Approval)
            return response.action == "accept" and response.data.approve
        digest = hashlib.sha256(question.encode()).hexdigest()
        given = (context.input_responses or {}).get(_QUESTION)
        # The SDK has verified that the state is ours and belongs to this call; each is valid once.
        expected = self._open.pop(context.request_state or "", None)
        if expected == digest and isinstance(given, ElicitResult):
            return given.action == "accept" and (given.content or {}).get("approve") is True
        state = secrets.token_urlsafe(16)
        if len(self._open) >= _MOST_OPEN:
            self._open.pop(next(iter(self._open)))
        self._open[state] = digest
        form = ElicitRequestFormParams(message=question, requested_schema=_schema())
        questions: InputRequests = {_QUESTION: ElicitRequest(params=form)}
        raise QuestionError(InputRequiredResult(input_requests=questions, request_state=state))


def _schema() -> dict[str, Any]:
    schema = Approval.model_json_schema()
    return {name: schema[name] for name in ("type", "properties", "required")}
