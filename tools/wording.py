"""Reject narrator words in comments, docstrings, strings, identifiers and Markdown.

They hide the actor ("whoever starts it") or stand where the field has a term ("asked" for "requested"). The words are
matched whole, without regard to case, over the whole text of a file, and a phrase also across a line break.

Usage: python -m tools.wording [--count]   (--count prints the matches per directory, checked or not)
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tools.repository import ROOT, project_files

CHECKED = (
    "src",
    "native",
    "webapp",
    "tests",
    "benches",
    "docs",
    "tools",
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
)
"""Directories and files whose matches fail the check."""

SUFFIXES = frozenset({".css", ".html", ".js", ".md", ".mjs", ".py", ".pyi", ".rs", ".sh", ".svelte", ".toml", ".ts"})

WORDS = (
    # The actor is missing: name it (the server, the caller, the user), or use "no one" and "another process".
    "nobody",
    "somebody",
    "whoever",
    "strangers?",
    # The field has a term: requested, reported, prompted, option, typo, continue, means, in progress.
    "asked",
    "told",
    "wish(es|ed)?",
    "slips?",
    "go(es)? on",
    "stands? for",
    "under way",
    "what becomes of",
    # Filler: give the number or the duration, or leave it out.
    "so many",
    "so long",
    "once and for all",
    "as it were",
)

EXCEPTIONS: dict[str, str] = {
    "src/atm/access/names.py": "reserves the account name `nobody`",
    "docs/proof/": "recorded output of test runs, which names tests as they were then",
    "docs/reference/cli.md": "generated from src, where the words are checked",
    "docs/reference/mcp.md": "generated from src, where the words are checked",
    "tests/contract/postgresql.py": "names the Unix account `nobody`",
    "tests/security/attack.py": "names the Unix account `nobody`",
    "tools/wording.py": "lists the words",
    "tests/tools/test_wording.py": "shows matches",
}
"""Files, or directories with a final slash, that are not checked, and why."""

# Between two words of a phrase: white space, or a line break with the marks of a comment or a list.
_GAP = r"(?:[ \t]+|[ \t]*\n[ \t]*(?:(?:#|//[/!]?|\*|>|-)[ \t]+)?)"
_PATTERN = re.compile(r"\b(?:" + "|".join(word.replace(" ", _GAP) for word in WORDS) + r")\b", re.IGNORECASE)
_GENERATED = re.compile(r"<!-- (?!end of)([\w ]+) -->\n.*?<!-- end of \1 -->", re.DOTALL)
"""Blocks of a page that `tools/generate.py` writes: their words are those of src, where they are checked."""
_LETTERS = re.compile(r"[A-Za-z]+")


def matches(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line number, from 1, and the word of each match outside generated blocks."""
    text = _GENERATED.sub(lambda block: "\n" * block.group().count("\n"), text)
    for match in _PATTERN.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, " ".join(_LETTERS.findall(match.group()))


def is_exempt(name: str) -> bool:
    """Return whether EXCEPTIONS covers `name`, a path within the repository."""
    return any(
        name == exception or (exception.endswith("/") and name.startswith(exception)) for exception in EXCEPTIONS
    )


def prose_files() -> Iterator[tuple[str, Path]]:
    """Yield each file to check, as path within the repository and absolute path."""
    for path in project_files():
        name = path.relative_to(ROOT).as_posix()
        if path.suffix in SUFFIXES and not is_exempt(name):
            yield name, path


def directory(name: str) -> str:
    """Return the first part of a path: a top-level directory, or a file."""
    return name.partition("/")[0]


def main(arguments: list[str]) -> int:
    counts: Counter[str] = Counter()
    for name, path in prose_files():
        for line, word in matches(path.read_text(encoding="utf-8")):
            counts[directory(name)] += 1
            if directory(name) in CHECKED and not arguments:
                print(f'{name}:{line}: "{word}": name the actor or use the term of the field (CONTRIBUTING.md, Words)')
    if arguments == ["--count"]:
        for place, count in sorted(counts.items()):
            print(f"{place:16} {count:5}  {'checked' if place in CHECKED else 'not checked yet'}")
        return 0
    return 1 if any(counts[place] for place in CHECKED) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
