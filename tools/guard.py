"""Reject package indexes and machine paths in files of the repository.

Locks contain packages, versions and hashes; the installing machine decides where to fetch them from. A registry or home
directory in a file works on one machine only, and discloses its name.

Usage: python -m tools.guard
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.repository import ROOT, project_files


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern that no line may match in the files whose name matches `names`."""

    what: str
    names: re.Pattern[str]
    pattern: re.Pattern[str]


_LOCKS = re.compile(r"^requirements/.*\.(txt|in)$|(^|/)(package-lock\.json|Cargo\.lock|uv\.lock)$")
_SETTINGS = re.compile(r"\.(toml|ini|cfg|txt|in|json|ya?ml|sh|npmrc)$|(^|/)(Makefile|run|\.npmrc)$")
_ANY = re.compile("")

RULES = (
    # Cargo.lock names its registry by a fixed identifier, the same on every machine, behind `registry+`.
    # npm's lock contains funding links, as `"url": …` or as strings of a list; nothing is fetched from them.
    Rule(
        "an address in a lock",
        _LOCKS,
        re.compile(
            r'^(?!\s*("(url|funding)": )?"https?://[^"]*",?$).*(?<!registry\+)\b(https?|file|git|ssh)(\+[a-z]+)?://'
        ),
    ),
    Rule(
        "an option that names a package index", _LOCKS, re.compile(r"^\s*(-i|-f|--[a-z-]*(index|links|host)[a-z-]*)\b")
    ),
    Rule(
        "a setting that names a package index",
        _SETTINGS,
        re.compile(
            r"(?<!emit-)\b(index-url|extra-index-url|find-links|trusted-host|index_url)\b\s*=|^\s*registry\s*=\s*.?http"
        ),
    ),
    Rule("a path of one machine", _ANY, re.compile(r"(?<![\w.<{$/])/(home|Users)/\w+/|(?<![\w.<{$/])/ro[o]t/")),
)


def findings(name: str, text: str) -> Iterator[str]:
    """Yield each violation as `name:line: what`; `name` is the path of the file within the repository."""
    rules = [rule for rule in RULES if rule.names.search(name)]
    for number, line in enumerate(text.splitlines(), start=1):
        for rule in rules:
            if rule.pattern.search(line):
                yield f"{name}:{number}: {rule.what}: {line.strip()[:100]}"


def unhashed(name: str, text: str) -> Iterator[str]:
    """Yield each requirement without version or hash in a lock of pip's format."""
    for requirement in re.split(r"(?<!\\)\n", text):
        if not requirement.strip() or requirement.lstrip().startswith("#"):
            continue
        if "==" not in requirement or "--hash=sha256:" not in requirement:
            yield f"{name}: without version and hash: {requirement.splitlines()[0][:100]}"


def check_file(path: Path) -> list[str]:
    """Return all violations in a file; none for a binary file."""
    name = path.relative_to(ROOT).as_posix()
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return []
    breaches = list(findings(name, text))
    if re.fullmatch(r"requirements/\w+\.txt", name):
        breaches += unhashed(name, text)
    return breaches


def main() -> int:
    breaches = [breach for path in project_files() for breach in check_file(path)]
    for breach in breaches:
        print(breach)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
