"""Several specs in one command, run by a server one after the other."""

from __future__ import annotations

from pathlib import Path

from atm.testing import TargetServer
from tests.api.server import ApiServer
from tests.cli import program
from tests.cli.test_batch import written


def test_a_server_runs_the_specs_one_after_the_other(target: TargetServer, tmp_path: Path) -> None:
    server = ApiServer(tmp_path / "data").ready()
    try:
        specs = [str(written(tmp_path, name, f"{target.url}/users")) for name in ("one", "two")]
        flags = ("--server", server.url, "--junit", str(tmp_path / "all.xml"), "-o", str(tmp_path / "x.md"))
        said = program.atm(server.data_dir, "run", *specs, *flags)
        assert said.code in (0, 4), said.err
        assert said.out.count(" TESTS  2: ") == 1
        assert {"all.xml", "x-one.md", "x-two.md"} <= {path.name for path in tmp_path.iterdir()}
        with server.client() as client:
            first, second = client.get("/runs", params={"order": "oldest"}).json()["runs"]
        assert (first["name"], second["name"]) == ("one", "two")
        assert first["completed_at"] <= second["created_at"]
        assert target.settled_stats().received == 40
        bad = written(tmp_path, "bad", "nope", concurency=3)
        said = program.atm(server.data_dir, "run", specs[0], str(bad), "--server", server.url)
        assert (said.code, 'unknown field "concurency"' in said.err) == (2, True)
        assert target.settled_stats().received == 40
    finally:
        server.stop()
