"""Convert curl commands, as pasted from a shell, browser or documentation, to a spec.

One request becomes a spec with a `url`, several become `endpoints`. Notes list what was ignored.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from atm.dataclass import dataclass
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
from atm.importers.curl_effects import apply
from atm.importers.curl_options import option_lists
from atm.importers.curl_request import CurlRequest
from atm.importers.curl_urls import MOST_URLS, expand

_CURL = re.compile(r"(.*[\\/])?curl(\.exe)?", re.DOTALL)
_PREFIXES = frozenset({"$", ">", "#", "%", "sudo", "time", "command", "exec", "nohup", "env", "builtin", "do", "then"})
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_ADDRESS_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


@dataclass(frozen=True, slots=True)
class ImportedSpec:
    """A spec, and notes on what was ignored and why."""

    spec: dict[str, Any]
    notes: tuple[str, ...] = ()


def import_curl(text: str, *, name: str | None = None) -> ImportedSpec:
    """Convert a text with one or more curl commands, for a POSIX shell, cmd or PowerShell.

    Raises SpecError if it has no curl command, has no URL, or needs files or a running shell.
    """
    return _imported(_parse(text), name)


def import_arguments(arguments: list[str], *, name: str | None = None) -> ImportedSpec:
    """Convert one curl command whose arguments are already split. Raises SpecError as `import_curl`."""
    for argument in arguments:
        refuse_surrogates(argument)
    return _imported(CommandLine([Command(["curl", *arguments])]), name)


def _imported(line: CommandLine, name: str | None) -> ImportedSpec:
    notes = list(line.notes)
    requests: list[CurlRequest] = []
    for command in line.commands:
        arguments = _curl_arguments(command.words)
        if arguments is None:
            first = for_people(command.words[0])[:40]
            notes.append(f"`{first}` is ignored: only curl commands become requests")
            continue
        for options in option_lists(arguments):
            request = CurlRequest(stdin=command.stdin)
            apply(options, request)
            requests.append(request)
    if not requests:
        first = for_people(line.commands[0].words[0])[:40] if line.commands else ""
        raise wrong_command(
            f"this is not a curl command: it starts with {first!r}", "not_curl", "Paste the text from `curl` onwards"
        )
    return _assembled(requests, notes, name)


def _parse(text: str) -> CommandLine:
    if windows_shells.is_powershell(text):
        return windows_shells.parse_powershell(text)
    return windows_shells.parse_cmd(text) if windows_shells.is_cmd(text) else posix_shell.parse(text)


def _curl_arguments(words: list[str]) -> list[str] | None:
    """Return the arguments of `curl`; None for another command."""
    position = 0
    while position < len(words) and (words[position] in _PREFIXES or _ASSIGNMENT.match(words[position])):
        position += 1
    if position == len(words) or not _CURL.fullmatch(words[position]):
        return None
    return words[position + 1 :]


def _assembled(requests: list[CurlRequest], notes: list[str], name: str | None) -> ImportedSpec:
    endpoints: list[dict[str, Any]] = []
    for request in requests:
        endpoints += [request.endpoint(url) for url in _urls(request)]
        if len(endpoints) > MOST_URLS:
            raise wrong_command(f"the text has more than {MOST_URLS} requests", "too_many_urls", "Paste fewer")
        notes += request.notes
    if not endpoints:
        raise wrong_command("the command has no URL", "no_url", "Add it: `curl https://api.example.com/`")
    if any(variables(text) for request in requests for text in _texts(request)):
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
    spec.update(_shared_fields(requests, notes))
    return ImportedSpec(spec, tuple(dict.fromkeys(notes)))


def _urls(request: CurlRequest) -> list[str]:
    """Return the URLs of a request, each with a scheme, patterns expanded."""
    urls: list[str] = []
    for written in request.urls:
        scheme = _ADDRESS_SCHEME.match(written)
        if scheme and scheme[1].lower() not in ("http", "https"):
            what = f"{for_people(written)[:80]} is not an HTTP URL"
            raise wrong_command(what, "unsupported_scheme", "Only http and https URLs are supported")
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
    """Return a name without credentials and query: `POST api.example.com/orders`."""
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


def _shared_fields(requests: list[CurlRequest], notes: list[str]) -> dict[str, Any]:
    """Return the fields for all requests of the spec, from the first command that sets each; note differences."""
    fields: dict[str, Any] = {}
    for request in requests:
        for name, value in request.spec_fields().items():
            if name == "connect_to":
                fields[name] = list(dict.fromkeys([*fields.get(name, []), *value]))
            else:
                fields.setdefault(name, value)
    for name, value in fields.items():
        if name != "connect_to" and any(request.spec_fields().get(name) != value for request in requests):
            notes.append(f"`{name}` of one command now applies to all of them: a spec has a single value")
    return {name: _as_templates(value) for name, value in fields.items()}


def _as_templates(value: Any) -> Any:
    if isinstance(value, str):
        return as_template(value)
    if isinstance(value, list):
        return [_as_templates(item) for item in value]
    return {name: _as_templates(item) for name, item in value.items()} if isinstance(value, dict) else value
