"""The pages about the server: their commands run against a server, and they name every setting there is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.core import TyperGroup

from atm.cli.main import COMMANDS, load
from atm.config import Settings
from atm.testing import TargetServer
from tests.api.server import ApiServer

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs/guide/run-a-server.md", ROOT / "docs/reference/api.md"]
TARGET, SERVER = "http://127.0.0.1:8765", "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    started = ApiServer(tmp_path_factory.mktemp("docs") / "data").ready()
    yield started
    started.stop()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_run(page: Path, server: ApiServer, tmp_path: Path) -> None:
    blocks = re.findall(r"^```bash\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert blocks
    environment = {**os.environ, "ATM_DATA_DIR": str(tmp_path), "NO_PROXY": "*"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    with TargetServer() as target:
        for line in "".join(blocks).replace("\\\n", " ").splitlines():
            text = line.replace(TARGET, target.url).replace(SERVER, server.url)
            done = subprocess.run(
                ["bash", "-c", text], env=environment, capture_output=True, text=True, timeout=240, check=False
            )
            # A busy machine may make a measurement invalid (4), which is no fault of the page.
            good = (0, 4) if line.startswith(("atm run", "atm show")) else (0,)
            assert done.returncode in good, f"{line}\n{done.stdout}{done.stderr}"
            # `curl -s` ends with 0 whatever the server says.
            assert '"status":4' not in done.stdout, done.stdout


def test_every_setting_is_on_its_page() -> None:
    page = (ROOT / "docs/reference/settings.md").read_text("utf-8")
    for name, field in Settings.model_fields.items():
        variable = str(field.validation_alias or f"ATM_{name.upper()}")
        assert f"`{variable}`" in page, variable


def test_every_command_that_is_named_anywhere_exists() -> None:
    known = {entry.name for entry in COMMANDS}
    commands = {name: load(name) for name in known}
    groups = {name: set(each.commands) for name, each in commands.items() if isinstance(each, TyperGroup)}
    assert set(groups) == {"batch", "db", "fleet", "keys", "schedule", "tests"}
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    sources = [*(ROOT / "src/atm").rglob("*.py"), ROOT / "Makefile", ROOT / "Dockerfile", ROOT / "compose.yaml"]
    for path in [*pages, *sources]:
        text = path.read_text("utf-8")
        named = set(re.findall(r"`atm ([a-z]+)\b", text))
        assert named <= known, path
        # `atm keys create` in a sentence, and at the beginning of a line of a block.
        for group, part in re.findall(r"(?:`|^|\$\()atm ([a-z]+) ([a-z]+(?:-[a-z]+)*)\b", text, re.MULTILINE):
            assert part in groups.get(group, {part}), f"{path}: atm {group} {part}"


def test_the_compose_file_reads_and_demands_its_secrets() -> None:
    document = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    assert set(document["services"]) == {"api", "upgrade", "database"}
    assert document["services"]["api"]["ports"] == ["127.0.0.1:8000:8000"]
    assert ":?" in document["services"]["api"]["environment"]["API_TEST_MACHINE_API_KEY"]
