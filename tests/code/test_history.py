"""A run of code in reports, in the history and over the API: names that became known during the run are everywhere."""

from __future__ import annotations

import json
from pathlib import Path

from atm.testing import TargetServer
from tests.api.server import ApiServer
from tests.cli.program import atm
from tests.code.files import written

CODE = """
atm.test(base_url={url!r}, duration="2s", concurrency=2)

@atm.scenario
async def shop(user):
    first = await user.get("/delay/5", name="first")
    first.check("good", user.iteration != 3)
    if user.iteration % 2:
        await user.post("/echo", json={{}}, name="second")
    if user.iteration == 4:
        raise ValueError("boom <b>")
"""


def test_names_of_code_are_in_reports_and_in_the_history(tmp_path: Path, target: TargetServer) -> None:
    path = written(tmp_path, CODE.format(url=target.url))
    data = tmp_path / "data"
    files = [f"-o{tmp_path / name}" for name in ("r.html", "r.csv", "r.json")]
    said = atm(data, "run", str(path), *files, f"--junit={tmp_path / 'r.xml'}")
    # 4 where a busy machine makes the measurement invalid.
    assert said.code in (99, 4), said.err
    for text in ("shop", "first", "second", "EXCEPTIONS", "ValueError: boom <b> (shop.py:14)", "good"):
        assert text in said.out
    page = (tmp_path / "r.html").read_text()
    assert "ValueError: boom &lt;b&gt; (shop.py:14)" in page
    assert "shop/second" in page
    assert "shop raises no exception" in (tmp_path / "r.xml").read_text()
    assert "shop/second" in (tmp_path / "r.csv").read_text()
    result = json.loads((tmp_path / "r.json").read_text())
    assert [entry["name"] for entry in result["endpoint_metrics"]] == ["shop/first", "shop/second"]
    (scenario,) = result["scenarios"]
    first, second = scenario["steps"]
    ended = scenario["completed"] + scenario["failed"]
    assert (first["reached"], first["not_reached"]) == (ended, 0)
    assert second["reached"] + second["not_reached"] == ended
    assert abs(second["reached"] - ended / 2) <= 2
    shown = atm(data, "show", result["run"]["id"]).out
    assert "EXCEPTIONS" in shown
    assert "second" in shown
    server = ApiServer(data).ready()
    try:
        with server.client() as client:
            run_id = result["run"]["id"]
            stored = client.get(f"/runs/{run_id}/result").json()
            assert stored["exceptions"] == result["exceptions"]
            assert stored["endpoint_metrics"] == result["endpoint_metrics"]
            names = "endpoint=*&endpoint=shop/first&endpoint=shop/second"
            answer = client.get(f"/runs/{run_id}/intervals?merge=true&{names}").json()
            assert answer["endpoints"] == ["shop/(other)", "shop/first", "shop/second"]
            window = {entry["endpoint"]: entry["started"] for entry in answer["window"]["endpoints"]}
            metrics = {entry["name"]: entry["total_requests"] for entry in result["endpoint_metrics"]}
            assert {name: window[name] for name in metrics} == metrics
            assert answer["window"]["checks"] == result["checks"]
            assert [step["name"] for step in answer["window"]["scenarios"][0]["steps"]] == ["first", "second"]
            assert client.get(f"/runs/{run_id}/distribution", params={"endpoint": "shop/second"}).status_code == 200
            refused = client.post("/runs", json={"spec": {**stored["spec"], "name": "again"}})
            assert refused.status_code == 422
            assert "code_not_allowed" in refused.text
    finally:
        server.stop()


def test_a_file_that_cannot_be_loaded_is_refused_with_its_line(tmp_path: Path) -> None:
    cases = {
        "import nothing_like_this\n": ("shop.py:4", "ModuleNotFoundError", "pip install nothing_like_this"),
        "def f(:\n": ("shop.py:4", "invalid syntax"),
        "x = 1\n\n\nraise ValueError('no')\n": ("shop.py:7", "ValueError: no"),
        "x = 1\n": ("the file declares no scenario", "@atm.scenario"),
        "@atm.scenario\ndef s(user):\n    pass\n": (
            "shop.py:4",
            '"s" is not a coroutine function',
            "async def s(user)",
        ),
        "@atm.scenario\nasync def s():\n    pass\n": ("cannot be called with one argument", "async def s(user)"),
        "@atm.scenario\nasync def s(user):\n    pass\n": ("shop.py:4", "needs a base_url", "--base-url"),
        "@atm.scenario(wait=3)\nasync def s(user):\n    pass\n": ("shop.py:4", 'unknown field "wait"'),
    }
    for code, texts in cases.items():
        said = atm(tmp_path / "data", "run", str(written(tmp_path, code)))
        assert said.code == 2, (code, said.err)
        assert all(text in " ".join(said.err.split()) for text in texts), said.err
