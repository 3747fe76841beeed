"""Resources for agents: runs, stored specs, the spec's JSON Schema, a guide to the figures."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError

from atm.errors import AtmError, NotFoundError
from atm.mcp_server.services import ToolServices
from atm.mcp_server.untrusted_text import cleaned_tree, without_credentials
from atm.models.metric import METRICS
from atm.models.schema import spec_json_schema

JSON = "application/json"
MOST_RUNS = 50


def figures_guide() -> str:
    """Return the guide to the figures as Markdown."""
    guide = files("atm.mcp_server").joinpath("figures.md").read_text("utf-8")
    examples = ", ".join(f"`{definition.example}` ({definition.about})" for definition in METRICS.values())
    return guide.replace("{thresholds}", examples)


def add_resources(server: MCPServer[Any], services: ToolServices) -> None:
    """Register the resources with the server."""

    @server.resource("atm://guide/figures", title="What the figures mean", mime_type="text/markdown")
    def guide() -> str:
        """Definitions of response time, service time, percentiles, verdicts and outcomes."""
        return figures_guide()

    @server.resource("atm://schema/spec", title="JSON Schema of a test spec", mime_type=JSON)
    def schema() -> str:
        """Every field of a spec with its type, range and meaning."""
        return json.dumps(spec_json_schema(), ensure_ascii=False)

    @server.resource("atm://runs", title="The newest runs", mime_type=JSON)
    async def runs() -> str:
        """The newest runs of the history, newest first."""
        try:
            page = await (await services.control()).runs(limit=MOST_RUNS)
        except AtmError as error:
            raise _resource_error(error) from error
        return _json([run.model_dump(mode="json") for run in page.runs])

    @server.resource("atm://runs/{run_id}", title="A run", mime_type=JSON)
    async def run(run_id: str, context: Context[Any, Any]) -> str:  # noqa: ARG001  (makes it a template's function)
        """A run with its spec (credentials are ***), state and figures."""
        try:
            control = await services.control()
            view = await control.run(await services.run_id(control, run_id))
        except AtmError as error:
            raise _resource_error(error) from error
        return _json(view.model_dump(mode="json"))

    @server.resource("atm://specs", title="Stored specs", mime_type=JSON)
    async def specs() -> str:
        """The names of the specs stored as tests."""
        try:
            stored = await (await services.control()).tests()
        except AtmError as error:
            raise _resource_error(error) from error
        return _json([{"name": test.name, "uri": f"atm://specs/{test.id}"} for test in stored.tests])

    @server.resource("atm://specs/{test}", title="A stored spec", mime_type=JSON)
    async def spec(test: str, context: Context[Any, Any]) -> str:  # noqa: ARG001  (makes it a template's function)
        """A spec stored as a test, by name or id; credentials are ***."""
        try:
            stored = await (await services.control()).test(test)
        except AtmError as error:
            raise _resource_error(error) from error
        return _json(stored.spec)


def _json(value: Any) -> str:
    return json.dumps(cleaned_tree(value), ensure_ascii=False, indent=1)


def _resource_error(error: AtmError) -> ResourceError:
    text = "\n".join(without_credentials(line, 500) for problem in error.problems[:5] for line in problem.lines())
    return ResourceNotFoundError(text) if isinstance(error, NotFoundError) else ResourceError(text)
