"""Every example of the README and of docs/ is run: specs are compiled, commands and Python are executed.

The pages aim at the target server's usual address; here it is another one, and durations are cut to a second.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from atm.errors import SpecError
from atm.library import compile_spec
from atm.testing import TargetServer
from tests.api.server import ApiServer
from tests.cli.program import atm

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXIT = re.compile(r"\s+# exit (\d+)$")
USUAL_ADDRESS = "http://127.0.0.1:8765"
ENVIRONMENT = {"SHOP_TOKEN": "atm-token", "SHOP_SECRET": "atm-secret"}
ELSEWHERE = {
    "atm demo",
    "make demo",
    "make test",
    "atm serve",
    "atm agent",
    "atm top --server http://127.0.0.1:8000",
    "atm tests push shop.yaml --server http://127.0.0.1:8000",
}
"""What other tests run, or what is running right now."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    language: str
    text: str

    @property
    def file_name(self) -> str:
        """Where a spec is kept, from its first line: `# shop.yaml`."""
        match = re.match(r"# (\S+\.(?:yaml|py))\n", self.text)
        return match[1] if match else ""


def blocks(page: Path) -> list[Block]:
    return [Block(page, match[1], match[2]) for match in FENCE.finditer(page.read_text("utf-8"))]


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def with_language(*languages: str) -> list[Path]:
    return [page for page in PAGES if any(block.language in languages for block in blocks(page))]


def localized(text: str, target: TargetServer) -> str:
    shorter = re.sub(r"\b(duration:?|--duration|-z|for) (?:[2-9]|\d\d)s", r"\1 1s", text)
    return shorter.replace(USUAL_ADDRESS, target.url)


def is_spec(block: Block) -> bool:
    document = yaml.safe_load(block.text)
    return block.language == "yaml" and isinstance(document, dict) and ("url" in document or "endpoints" in document)


@pytest.mark.parametrize("page", with_language("yaml"), ids=named)
def test_the_specs_of_a_page_compile(page: Path) -> None:
    for block in blocks(page):
        if block.language == "yaml" and is_spec(block):
            try:
                compile_spec(yaml.safe_load(block.text), ENVIRONMENT)
            except SpecError as error:
                raise AssertionError(f"{named(page)}:\n{block.text}\n{error}") from error


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """The server that `atm serve` of a page would be."""
    started = ApiServer(tmp_path_factory.mktemp("api") / "data")
    yield started.ready()
    started.stop()


@pytest.mark.parametrize("page", with_language("sh"), ids=named)
@pytest.mark.timeout(120)
def test_the_commands_of_a_page_do_what_it_says(
    page: Path, target: TargetServer, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    asks = any("atm schedule" in block.text for block in blocks(page) if block.language == "sh")
    known = {"ATM_API_URL": request.getfixturevalue("api").url} if asks else {}
    for block in blocks(page):
        if block.file_name:
            (tmp_path / Path(block.file_name).name).write_text(localized(block.text, target), "utf-8")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for block in blocks(page):
        for line in block.text.replace("\\\n", " ").splitlines() if block.language == "sh" else ():
            command, expected = EXIT.sub("", line.strip()), EXIT.search(line)
            if command and shlex.join(shlex.split(command, comments=True)) not in ELSEWHERE:
                check(localized(command, target), int(expected[1]) if expected else 0, tmp_path, known)


def check(command: str, expected: int, folder: Path, known: Mapping[str, str]) -> None:
    words = shlex.split(command, comments=True)
    variables = dict(word.split("=", 1) for word in words if re.match(r"[A-Z_]+=", word))
    words = words[len(variables) :]
    assert words[0] == "atm", f"a page may only show commands of this project: {command}"
    arguments = words[1:] + (["--no-fail"] if words[1] == "run" and expected == 0 else [])
    more = {"ATM_NO_HISTORY": "1", **known, **variables, "NO_COLOR": "1"}
    with contextlib.chdir(folder):
        done = atm(Path(os.environ["ATM_DATA_DIR"]), *arguments, more=more)
    if expected == 0 and words[1] == "run":
        # No threshold of a page may fail, but where a busy machine spoiled the measurement, which then says so.
        assert "✗ THRESHOLDS" not in done.out or "✗ MEASUREMENT" in done.out, f"{command}\n{done.out}"
    assert done.code == expected or (expected == 99 and done.code == 4), (
        f"{command}: exit {done.code}\n{done.out}{done.err}"
    )


@pytest.mark.parametrize("page", with_language("python"), ids=named)
def test_the_programs_of_a_page_run(page: Path, target: TargetServer, tmp_path: Path) -> None:
    for block in blocks(page):
        if block.language == "python":
            done = subprocess.run(
                [sys.executable, "-c", localized(block.text, target).replace('"2s"', '"1s"')],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert done.stdout


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")):
        if "://" not in link:
            assert (page.parent / link).exists(), f"{named(page)} links to {link}"
