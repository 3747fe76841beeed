"""Server-sent events as lines of text (the HTML standard, 9.2.6), as far as our server sends them."""

from __future__ import annotations

from collections.abc import AsyncIterator


async def read_events(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    """The data of each event; comments, ids and kinds are left out, as the data have them too."""
    data: list[str] = []
    async for line in lines:
        if not line:
            if data:
                yield "\n".join(data)
            data = []
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
