"""Names, sizes and what all requests and answers have in common."""

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
"""How a front door that is a client of the API (the MCP server) says which one it is."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Notes = Annotated[str, StringConstraints(max_length=20_000)]
Tags = Annotated[list[Tag], Field(max_length=50)]


def _in_every_zone(moment: datetime) -> datetime:
    if not MINYEAR < moment.year < MAXYEAR:
        raise ValueError(f"the year is {MINYEAR + 1} to {MAXYEAR - 1}, so that the clocks of every zone can show it")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_in_every_zone)]
"""With its offset from UTC, and such that the clocks of every zone can show it."""
ShownTime = Annotated[datetime, AfterValidator(_in_every_zone)]
"""The same, or what the clocks of a zone show that is named elsewhere."""


class Answer(BaseModel):
    """What a server says."""

    # A server of tomorrow may say more than a client of today knows.
    model_config = ConfigDict(extra="ignore", ser_json_inf_nan="strings")


class Request(BaseModel):
    """What a client asks; what nobody knows is refused, so that a slip is not taken for a wish."""

    model_config = ConfigDict(extra="forbid")


Spec = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "x-model": "TestSpec"})]
"""A test spec as plain data: the compiler checks it, and names every problem of it at once."""
