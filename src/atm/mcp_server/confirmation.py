"""Asking the person behind the agent, in both forms that the protocol has: in the middle of a call, or between two.

Until 2025-11-25 a server sends `elicitation/create` while the call goes on. Since 2026-07-28 the call ends with a
question, and comes again with the answer and a state that only this server can have written.
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
UESTION = "approval"
_MOST_OPEN = 1000


class Approval(BaseModel):
    """What the person is asked to fill in."""

    model_config = ConfigDict(extra="ignore")

    approve: bool = Field(description="Yes: do it this once. No: leave it.")


class QuestionError(Exception):
    """The call has to end with a question; not a failure. Only `tool.py` catches it."""

    def __init__(self, result: InputRequiredResult) -> None:
        super().__init__("a question to the person behind the agent")
        self.result = result


def can_ask(context: Context[Any, Any]) -> bool:
    """Whether the client can put a form before somebody."""
    capabilities = context.client_capabilities
    elicitation = capabilities.elicitation if capabilities else None
    # A client that names no kind of elicitation has forms (2025-06-18).
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


class Confirmation:
    """Asks, and takes each answer once."""

    def __init__(self) -> None:
        self._open: dict[str, str] = {}
        """State to the digest of the question that was asked with it."""

    async def approved(self, context: Context[Any, Any], question: str) -> bool:
        """Whether the person said yes to exactly this question. False also where they declined or closed it.

        Raises QuestionError where the protocol has the call end with the question; it comes again with the answer.
        """
        if not is_version_at_least(context.protocol_version or "", BETWEEN_CALLS_SINCE):
            answer = await context.elicit(question, Approval)
            return answer.action == "accept" and answer.data.approve
        digest = hashlib.sha256(question.encode()).hexdigest()
        given = (context.input_responses or {}).get(UESTION)
        # The SDK has made sure that the state is ours and belongs to this call; each is good for one answer.
        asked = self._open.pop(context.request_state or "", None)
        if asked == digest and isinstance(given, ElicitResult):
            return given.action == "accept" and (given.content or {}).get("approve") is True
        state = secrets.token_urlsafe(16)
        if len(self._open) >= _MOST_OPEN:
            self._open.pop(next(iter(self._open)))
        self._open[state] = digest
        form = ElicitRequestFormParams(message=question, requested_schema=_schema())
        questions: InputRequests = {UESTION: ElicitRequest(params=form)}
        raise QuestionError(InputRequiredResult(input_requests=questions, request_state=state))


def _schema() -> dict[str, Any]:
    schema = Approval.model_json_schema()
    return {name: schema[name] for name in ("type", "properties", "required")}
