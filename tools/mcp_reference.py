"""Render docs/reference/mcp.md: every tool, resource and prompt of `atm mcp`, from the server itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from mcp_types import Prompt, Resource, ResourceTemplate, Tool

from atm.config import Settings
from atm.mcp_server.server import AgentServer
from atm.mcp_server.services import ToolServices
from atm.models import figures

_HEAD = """\
# Tools for agents

The tools, resources and prompts of `atm mcp`, as clients of the Model Context Protocol see them. This page is generated
from the server; [From an LLM agent](../guide/from-an-llm-agent.md) shows how to set it up.

Every result is a short text, verdicts first and with units, plus the same content as structured data that matches the
tool's output schema. An error says what is wrong, where, how to correct it, and gives a working example.
"""
_TARGETS = (
    "Hosts that agents may load: names (`*` for any part of one), addresses, networks. Others are refused unprompted."
)
_SETTINGS = (
    ("api_url", "The server to ask; without it one is started on this machine and ends with the session."),
    ("api_key", "The key for that server."),
    ("mcp_allowed_targets", _TARGETS),
    ("mcp_read_only", "Agents may look, and change nothing."),
    ("mcp_key", "What clients of `atm mcp --http` send as `Authorization: Bearer …`."),
    ("mcp_max_rate", "Requests per second of one run, in the open model."),
    ("mcp_max_users", "Users of one run, in the closed model."),
    ("mcp_max_duration", "How long one run may send, warm-up included."),
    ("mcp_max_requests", "Requests of one run, warm-up included."),
    ("mcp_hourly_runs", "Runs that agents start within an hour."),
    ("mcp_hourly_requests", "Requests of those runs together."),
    ("mcp_hourly_duration", "Time under load of those runs together."),
)


def mcp_reference() -> str:
    """Return the complete page."""
    return asyncio.run(_page(AgentServer(ToolServices.of(Settings.model_construct()))))


async def _page(server: AgentServer) -> str:
    tools = await server.list_tools()
    listed = "".join(f"| [`{each.name}`](#{each.name}) | {each.title} | {_kind(each)} |\n" for each in tools)
    parts = [
        _HEAD,
        f"## Tools\n\n| tool | what for | it |\n|---|---|---|\n{listed}",
        *(_section(each) for each in tools),
        _resources(await server.list_resources(), await server.list_resource_templates()),
        _prompts(await server.list_prompts()),
        _settings(),
        "Next: [the Control API behind it](cli.md#atm-serve)\n",
    ]
    return "\n".join(parts)


def _kind(tool: Tool) -> str:
    hints = tool.annotations
    assert hints is not None
    if hints.read_only_hint:
        return "only reads"
    return "starts load" if hints.open_world_hint else "changes something"


def _section(tool: Tool) -> str:
    schema = tool.input_schema
    rows = [_argument(name, each, schema) for name, each in schema["properties"].items()]
    table = (
        f"| argument | type | default | meaning |\n|---|---|---|---|\n{''.join(rows)}" if rows else "No arguments.\n"
    )
    answers = "".join(_fields(tool.output_schema or {}))
    return f"### {tool.name}\n\n{tool.description}\n\n{table}\n{answers}"


def _argument(name: str, schema: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    required = name in whole.get("required", ())
    given = schema.get("default")
    default = "required" if required else "" if given is None or given in ("", []) else f"`{json.dumps(given)}`"
    meaning = schema.get("description", "")
    for example in schema.get("examples", []):
        shown = example if isinstance(example, str) else json.dumps(example)
        meaning += f"{' ' if meaning else ''}For example `{shown}`."
    return f"| `{name}` | {_type(schema, whole)} | {default} | {_cell(meaning)} |\n".replace("|  |", "| |")


def _fields(schema: Mapping[str, Any]) -> Iterator[str]:
    properties = schema.get("properties", {})
    yield f"Answers with {', '.join(f'`{name}`' for name in properties)}.\n"


def _type(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return _type(whole["$defs"][schema["$ref"].rpartition("/")[2]], whole)
    if "anyOf" in schema:
        kinds = [_type(each, whole) for each in schema["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    names = {"integer": "whole number", "string": "text", "boolean": "true or false", "array": "list"}
    kind = names.get(schema.get("type", ""), schema.get("type", "anything"))
    bounds = [
        f"{sign} {figures.count(int(schema[name]))}"
        for name, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"))
        if name in schema
    ]
    return f"{kind} {', '.join(bounds)}".strip()


def _resources(fixed: list[Resource], templates: list[ResourceTemplate]) -> str:
    rows = [f"| `{each.uri}` | {_cell(each.description or '')} |\n" for each in fixed]
    rows += [f"| `{each.uri_template}` | {_cell(each.description or '')} |\n" for each in templates]
    return f"## Resources\n\n| address | what it is |\n|---|---|\n{''.join(rows)}"


def _prompts(prompts: list[Prompt]) -> str:
    rows = []
    for each in prompts:
        arguments = ", ".join(f"`{a.name}`{'' if a.required else ' (optional)'}" for a in each.arguments or [])
        rows.append(f"| `{each.name}` | {_cell(each.description or '')} | {arguments} |\n")
    return f"## Prompts\n\n| prompt | question | arguments |\n|---|---|---|\n{''.join(rows)}"


def _settings() -> str:
    rows = []
    for field, meaning in _SETTINGS:
        default = Settings.model_fields[field].default
        rows.append(f"| `ATM_{field.upper()}` | {_default(default)} | {meaning} |\n".replace("|  |", "| |"))
    return f"## Settings\n\n| variable | default | meaning |\n|---|---|---|\n{''.join(rows)}"


def _default(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, timedelta):
        return figures.planned(value.total_seconds())
    if isinstance(value, tuple):
        return f"`{','.join(value)}`"
    return "off" if value is False else f"{value:,}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
