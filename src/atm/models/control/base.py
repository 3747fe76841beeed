"""Field types and limits shared by all requests and responses."""

from __future__ import annotations

from datetime import MAXYEAR, MINYEAR, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)

SOURCE_HEADER = "X-ATM-Source"
"""The header in which an API client that is itself an interface (the MCP server) names itself."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Notes = Annotated[str, StringConstraints(max_length=20_000)]
Tags = Annotated[list[Tag], Field(max_length=50)]


def _in_every_zone(moment: datetime) -> datetime:
    if not MINYEAR < moment.year < MAXYEAR:
        raise ValueError(f"the year must be {MINYEAR + 1} to {MAXYEAR - 1}, so that it is valid in every time zone")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_in_every_zone)]
"""With its offset from UTC, within the range of years of every time zone."""
ShownTime = Annotated[datetime, AfterValidator(_in_every_zone)]
"""The same, or a local time in a time zone given elsewhere."""


class Answer(BaseModel):
    """A response of the server."""

    # Ignore fields that a newer server may add.
    model_config = ConfigDict(extra="ignore", defer_build=True, ser_json_inf_nan="strings")


class Request(BaseModel):
    """A request of a client; unknown fields are rejected, so typos are not silently ignored."""

    model_config = ConfigDict(extra="forbid", defer_build=True)


Spec = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "x-model": "TestSpec"})]
"""A test spec as plain data; the compiler checks it and reports all its problems at once."""
