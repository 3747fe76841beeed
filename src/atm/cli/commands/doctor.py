"""`atm doctor`: check the limits of this machine before they distort a measurement."""

from __future__ import annotations

import dataclasses

from atm.cli.machine import Check, Health, examine
from atm.cli.options import OutputOptions
from atm.cli.text import Line, Paper, Style
from atm.models.exit_code import ExitCode

_STYLES = {Health.GOOD: Style.PASS, Health.WARN: Style.WARN, Health.BAD: Style.FAIL}


def command(output: OutputOptions) -> int:
    """Check the engine, the limits and the load of this machine.

    Each line has a sign: ✓ fine, ! may limit a test, ✗ will limit a test. Exit code 1 if there is a ✗.
    """
    checks = examine()
    if output.json:
        output.document({"checks": [dataclasses.asdict(check) for check in checks]})
    else:
        output.out.lines(line for check in checks for line in _lines(check, output.out.paper))
    return ExitCode.UNEXPECTED_ERROR if any(check.health == Health.BAD for check in checks) else ExitCode.PASSED


def _lines(check: Check, paper: Paper) -> list[Line]:
    signs = paper.signs
    sign = {Health.GOOD: signs.passed, Health.WARN: signs.warning, Health.BAD: signs.failed}[check.health]
    line = paper.line(" ").add(sign, _STYLES[check.health]).add(f" {check.name}").to(signs.width + 20)
    lines = [line.add(check.fact)]
    if check.hint:
        lines.append(paper.line().to(signs.width + 20).add("hint: ", Style.DIM).hint(check.hint))
    return lines
