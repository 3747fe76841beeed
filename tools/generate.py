"""Write the files that are derived from the code; with `--check`, only list those that are out of date.

To add a file, write a function that returns its complete text and append a `Generated` to `GENERATED`. Commit the file:
`make format` writes it, `make lint` checks it.

Usage: python -m tools.generate [--check]
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from atm.models.metric import METRICS, MetricDefinition
from atm.models.run import RunResult
from atm.models.schema import spec_json_schema
from atm.plan import expressions, extracts
from atm.testing.target_server.route_table import markdown as route_tables
from benches import result_tables
from benches.peers import publish
from tools.cli_reference import cli_reference
from tools.mcp_reference import mcp_reference
from tools.python_reference import python_reference
from tools.repository import ROOT
from tools.spec_tables import field_tables


@dataclass(frozen=True, slots=True)
class Generated:
    """A committed file (`path`, relative to the checkout) and the function that renders its complete text."""

    path: str
    render: Callable[[], str]


def make_targets() -> list[tuple[str, str]]:
    """Return the targets of the Makefile with their descriptions, in order."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return re.findall(r"^([a-z][a-z-]*):.*?## (.+)$", makefile, flags=re.MULTILINE)


def contributing() -> str:
    """Return CONTRIBUTING.md with its table of make targets updated."""
    rows = "".join(f"| `make {name}` | {line} |\n" for name, line in make_targets())
    return between_marks("CONTRIBUTING.md", "make targets", f"| command | what it does |\n|---|---|\n{rows}")


def between_marks(path: str, mark: str, block: str) -> str:
    """Return the text of `path` with `block` between `<!-- mark -->` and `<!-- end of mark -->`.

    Raises `ValueError` if a mark is missing.
    """
    return with_block((ROOT / path).read_text(encoding="utf-8"), path, mark, block)


def with_block(text: str, path: str, mark: str, block: str) -> str:
    """Like `between_marks`, for a text that was already read; `path` is used in the error message."""
    start, end = f"<!-- {mark} -->\n", f"<!-- end of {mark} -->"
    before, found_start, rest = text.partition(start)
    _, found_end, after = rest.partition(end)
    if not (found_start and found_end):
        raise ValueError(f"{path} has no marks {start.strip()} and {end}")
    return before + start + block + end + after


def spec_schema() -> str:
    """Return the JSON Schema of a spec, as `atm schema` prints it."""
    return json.dumps(spec_json_schema(), indent=2, ensure_ascii=False) + "\n"


def result_schema() -> str:
    """Return the JSON Schema of a result, as `atm run --json` prints it."""
    schema = RunResult.model_json_schema(mode="serialization")
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def spec_reference() -> str:
    """Return the page of the fields of a spec, with tables from the models."""
    return between_marks("docs/reference/spec.md", "fields", "\n".join(field_tables()))


def scenario_reference() -> str:
    """Return the page of scenarios, with the grammars from the modules that read them."""
    page = "docs/reference/scenarios.md"
    text = between_marks(page, "grammar", _grammar(expressions.__doc__))
    return with_block(text, page, "extract grammar", _grammar(extracts.__doc__))


def _grammar(docstring: str | None) -> str:
    """Return the indented lines of a docstring as a block of Markdown."""
    lines = [line for line in (docstring or "").splitlines() if line.startswith("    ")]
    return "\n```text\n" + textwrap.dedent("\n".join(lines)) + "\n```\n\n"


def threshold_reference() -> str:
    """Return the page of thresholds, with its table of metrics."""
    rows = "".join(
        f"| {_written(definition)} | `{metric}` | {definition.about} | `{definition.example}` |\n"
        for metric, definition in METRICS.items()
    )
    head = "| written | in results | meaning | example |\n|---|---|---|---|\n"
    return between_marks("docs/reference/thresholds.md", "metrics", head + rows)


def _written(definition: MetricDefinition) -> str:
    """Return the syntax of a metric: `ok` with a statistic, or `rps` alone."""
    after = " STATISTIC" if definition.is_time else " NAME" if definition.takes_name else ""
    kinds = [f"`{word}{after}`" for word in definition.words]
    return ", ".join(kind.replace("` ", "`") for kind in kinds)


def target_server_reference() -> str:
    """Return the page of the target server with its tables of routes."""
    return between_marks("docs/reference/target-server.md", "routes", f"\n{route_tables()}\n\n")


def benchmarks() -> str:
    """Return docs/benchmarks.md with the tables of the newest results in benches/results/."""
    text = between_marks(publish.PAGE, publish.MARK, publish.figures_block())
    return with_block(text, publish.PAGE, result_tables.MARK, result_tables.tables())


def openapi() -> str:
    """Return the OpenAPI document of the Control API, the source of the dashboard's types."""
    from atm.api.app import create_app
    from atm.config import Settings

    # Without any setting, so that the document does not depend on the environment.
    document = create_app(Settings.model_construct()).openapi()
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def graphql_schema() -> str:
    """Return the GraphQL schema of the Control API."""
    from atm.api.graphql.schema import SCHEMA

    return f"{SCHEMA.as_str()}\n"


def api_reference() -> str:
    """Return the page of the Control API, with its table of routes from the OpenAPI document."""
    from atm.api.app import create_app
    from atm.config import Settings

    document = create_app(Settings.model_construct()).openapi()
    rows: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            about = operation.get("description", "").strip().split("\n")[0]
            row = f"| `{method.upper()} {path.removeprefix('/api/v1')}` | {about} |"
            rows.setdefault(operation["tags"][0], []).append(row)
    parts = [
        f"### {tag.capitalize()}\n\n| route | what it does |\n|---|---|\n" + "\n".join(found)
        for tag, found in rows.items()
    ]
    return between_marks("docs/reference/api.md", "routes", "\n" + "\n\n".join(parts) + "\n\n")


GENERATED: tuple[Generated, ...] = (
    Generated("CONTRIBUTING.md", contributing),
    Generated("docs/reference/spec.schema.json", spec_schema),
    Generated("docs/reference/spec.md", spec_reference),
    Generated("docs/reference/scenarios.md", scenario_reference),
    Generated("docs/reference/thresholds.md", threshold_reference),
    Generated("docs/reference/cli.md", cli_reference),
    Generated("docs/reference/mcp.md", mcp_reference),
    Generated("docs/reference/python.md", python_reference),
    Generated("docs/reference/target-server.md", target_server_reference),
    Generated("docs/reference/result.schema.json", result_schema),
    Generated("openapi.json", openapi),
    # Not in an environment that was set up before GraphQL was added.
    *([Generated("schema.graphql", graphql_schema)] if find_spec("strawberry") else []),
    Generated("docs/reference/api.md", api_reference),
    Generated(publish.PAGE, benchmarks),
    # Only with results: the picture needs at least one.
    *([Generated(publish.PICTURE, publish.picture)] if publish.newest() else []),
)


def main(arguments: list[str]) -> int:
    check = arguments == ["--check"]
    stale = False
    for generated in GENERATED:
        path = ROOT / generated.path
        text = generated.render()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale = True
        if check:
            print(f"{generated.path} is out of date: run `make format` and commit it")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {generated.path}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
