"""The table of `atm fleet check`: this machine and each worker in a line, then the way to each target. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from atm.cli.text import Line, Paper, Style, cells
from atm.fleet.check import FleetCheck
from atm.fleet.messages import Description
from atm.fleet.versions import minor

_HEAD = ("worker", "atm", "plan", "engines", "Python", "Ray", "cores", "files", "clock")
_COMPARED = ("atm", "plan", "engines", "Ray")
_GAP = 2
_HERE = "here"


def check_lines(result: FleetCheck, paper: Paper) -> Iterator[Line]:
    """Return the table; what differs from this machine is styled as failed."""
    rows = [(_HERE, *_facts(result.here), result.ray_version, *_limits(result.here), "")]
    for node in result.nodes:
        clock = f"± {node.clock.error_ns / 1e6:.2f} ms"
        facts = _facts(node.description)
        rows.append((node.name, *facts, result.ray_versions.get(node.name, ""), *_limits(node.description), clock))
    columns = list(zip(_HEAD, *rows, strict=True))
    ends, end = [], 1
    for column in columns:
        end += max(map(cells, map(paper.text, column))) + _GAP
        ends.append(end)
    for number, row in enumerate((_HEAD, *rows)):
        line = paper.line()
        for position, (text, start) in enumerate(zip(row, (1, *ends), strict=False)):
            line.to(start).add(text, _style(number, position, text, rows[0]))
        yield line
    yield from _target_lines(result, paper)


def _facts(description: Description) -> tuple[str, str, str, str]:
    engines = " ".join(sorted(description.engines))
    return description.version, str(description.plan_format), engines, description.python


def _limits(description: Description) -> tuple[str, str]:
    return str(description.cores), str(description.file_descriptors or "")


def _style(row: int, column: int, text: str, here: tuple[str, ...]) -> Style:
    if row == 0:
        return Style.DIM
    if _HEAD[column] == "Python":
        return Style.PLAIN if minor(text) == minor(here[column]) else Style.FAIL
    return Style.FAIL if _HEAD[column] in _COMPARED and text != here[column] else Style.PLAIN


def _target_lines(result: FleetCheck, paper: Paper) -> Iterator[Line]:
    signs = paper.signs
    width = max(cells(paper.text(node.name)) for node in result.nodes) + _GAP
    for target in result.nodes[0].reaches:
        yield paper.line()
        yield paper.line(f" {target}", Style.BOLD)
        for node in result.nodes:
            reach = node.reaches[target]
            sign, style = (signs.failed, Style.FAIL) if reach.problem else (signs.passed, Style.PASS)
            line = paper.line(" ").add(sign, style).add(f" {node.name}").to(signs.width + 2 + width)
            yield line.add(reach.problem or f"{reach.address} in {reach.connect_ns / 1e6:.1f} ms")
