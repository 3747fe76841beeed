"""Turns curl commands into a spec, as they are pasted from a shell, a browser or a documentation.

One request becomes a spec with a `url`, several become `endpoints`. What was left out is said in notes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from atm.importers import posix_shell, windows_shells
from atm.importers.command_line import (
    Command,
    CommandLine,
    as_template,
    begins_with_variable,
    for_people,
    refuse_surrogates,
    variables,
    wrong_command,
)
from atm.importers.curl_options import requests
from atm.importers.curl_request import CurlRequest
from atm.importers.curl_urls import MOST_URLS, expand

_CURL = re.compile(r"(.*[\\/])?curl(\.exe)?", re.DOTALL)
_PREFIXES = frozenset({"$", ">", "#", "%", "sudo", "time", "command", "exec", "nohup", "env", "builtin", "do", "then"})
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_ADDRESS_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


@dataclass(frozen=True, slots=True)
class ImportedSpec:
    """A spec, and what was left out of it and why."""

    spec: dict[str, Any]
    notes: tuple[str, ...] = ()


def import_curl(text: str, *, name: str | None = None) -> ImportedSpec:
    """The spec of a text with one or more curl commands, for a POSIX shell, for cmd or for PowerShell.

    Raises SpecError where it has no curl command, names no URL, or needs files or a running shell.
    """
    return _imported(_parse(text), name)


def import_arguments(arguments: list[str], *, name: str | None = None) -> ImportedSpec:
    """The spec of one curl command whose arguments a shell has split already. Raises SpecError as `import_curl`."""
    for argument in arguments:
        refuse_surrogates(argument)
    return _imported(CommandLine([Command(["curl", *arguments])]), name)


def _imported(line: CommandLine, name: str | None) -> ImportedSpec:
    notes = list(line.notes)
    found: list[CurlRequest] = []
    for command in line.commands:
        arguments = _curl_arguments(command.words)
        if arguments is None:
            first = for_people(command.words[0])[:40]
            notes.append(f"`{first}` is left out: only curl commands become requests")
            continue
        for options in requests(arguments):
            request = CurlRequest(stdin=command.stdin)
            request.take(options)
            found.append(request)
    if not found:
        first = for_people(line.commands[0].words[0])[:40] if line.commands else ""
        raise wrong_command(f"this is no curl command: it begins with {first!r}", "not_curl", "Paste it from `curl` on")
    return _assembled(found, notes, name)


def _parse(text: str) -> CommandLine:
    if windows_shells.is_powershell(text):
        return windows_shells.parse_powershell(text)
    return windows_shells.parse_cmd(text) if windows_shells.is_cmd(text) else posix_shell.parse(text)


def _curl_arguments(words: list[str]) -> list[str] | None:
    """What comes behind `curl`; None where the command is another one."""
    position = 0
    while position < len(words) and (words[position] in _PREFIXES or _ASSIGNMENT.match(words[position])):
        position += 1
    if position == len(words) or not _CURL.fullmatch(words[position]):
        return None
    return words[position + 1 :]


def _assembled(found: list[CurlRequest], notes: list[str], name: str | None) -> ImportedSpec:
    endpoints: list[dict[str, Any]] = []
    for request in found:
        endpoints += [request.endpoint(url) for url in _urls(request)]
        if len(endpoints) > MOST_URLS:
            raise wrong_command(f"the text holds more than {MOST_URLS} requests", "too_many_urls", "Paste fewer")
        notes += request.notes
    if not endpoints:
        raise wrong_command("the command names no URL", "no_url", "Add it: `curl https://api.example.com/`")
    if any(variables(text) for request in found for text in _texts(request)):
        notes.append("shell variables such as $TOKEN are read from the environment when the test starts: {{env:TOKEN}}")
    titles = [_title(endpoint) for endpoint in endpoints]
    spec: dict[str, Any] = {"name": name or titles[0][:256]}
    if len(endpoints) == 1:
        spec.update(endpoints[0])
    else:
        spec["name"] = name or f"{titles[0]} and {len(endpoints) - 1} more"[:256]
        spec["endpoints"] = [
            {"name": title, **endpoint} for title, endpoint in zip(_unique(titles), endpoints, strict=True)
        ]
    spec.update(_shared_fields(found, notes))
    return ImportedSpec(spec, tuple(dict.fromkeys(notes)))


def _urls(request: CurlRequest) -> list[str]:
    """The URLs of a request, each with a scheme, patterns written out."""
    urls: list[str] = []
    for written in request.urls:
        scheme = _ADDRESS_SCHEME.match(written)
        if scheme and scheme[1].lower() not in ("http", "https"):
            what = f"{for_people(written)[:80]} is no HTTP URL"
            raise wrong_command(what, "unsupported_scheme", "Load is sent over http and https")
        url = written if scheme or begins_with_variable(written) else f"{request.scheme}://{written}"
        urls += expand(url) if request.globs else [url]
    return urls


def _texts(request: CurlRequest) -> list[str]:
    values = [value for _, values in request.headers.values() for value in values or ()]
    return [
        *request.urls,
        *values,
        *request.data,
        *request.form,
        *request.query,
        request.user or "",
        request.bearer or "",
    ]


def _title(endpoint: dict[str, Any]) -> str:
    """A name without credentials and without a query: `POST api.example.com/orders`."""
    url = urlsplit(re.sub(r"\{\{env:(\w+)\}\}", r"$\1", str(endpoint["url"])).replace("\\{{", "{{"))
    path = url.path if url.path != "/" else ""
    return f"{endpoint.get('method', 'GET')} {url.netloc.rpartition('@')[2]}{path}"[:120].strip()


def _unique(titles: list[str]) -> list[str]:
    counts: dict[str, int] = {}
    unique: list[str] = []
    taken = set(titles)
    for title in titles:
        counts[title] = number = counts.get(title, 0) + 1
        candidate = title if number == 1 else f"{title} ({number})"
        while number > 1 and candidate in taken:
            number += 1
            candidate = f"{title} ({number})"
        counts[title] = number
        taken.add(candidate)
        unique.append(candidate)
    return unique


def _shared_fields(found: list[CurlRequest], notes: list[str]) -> dict[str, Any]:
    """What holds for all requests of the spec: from the first command that says it, differences noted."""
    fields: dict[str, Any] = {}
    for request in found:
        for name, value in request.spec_fields().items():
            if name == "connect_to":
                fields[name] = list(dict.fromkeys([*fields.get(name, []), *value]))
            else:
                fields.setdefault(name, value)
    for name, value in fields.items():
        if name != "connect_to" and any(request.spec_fields().get(name) != value for request in found):
            notes.append(f"`{name}` of one command now holds for all of them: a spec has it once")
    return {name: _as_templates(value) for name, value in fields.items()}


def _as_templates(value: Any) -> Any:
    if isinstance(value, str):
        return as_template(value)
    if isinstance(value, list):
        return [_as_templates(item) for item in value]
    return {name: _as_templates(item) for name, item in value.items()} if isinstance(value, dict) else value
