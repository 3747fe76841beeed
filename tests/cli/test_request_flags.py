"""Flags for what a URL needs: bodies, credentials, connections; and that secrets stay where they were given."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from atm.testing import TargetServer
from tests.cli import program

SECRET = "5e7c0a1d-do-not-keep-me"


def tried(where: Path, *arguments: str, given: bytes = b"") -> dict[str, Any]:
    """What the target read, in its words."""
    said = program.atm(where, "try", *arguments, "--json", given=given)
    assert said.code == 0, said.out + said.err
    [endpoint] = json.loads(said.out)["endpoints"]
    echoed: dict[str, Any] = json.loads(endpoint["response_body"])
    return echoed


def test_json_and_form_bodies_arrive_with_their_types(target: TargetServer, tmp_path: Path) -> None:
    (tmp_path / "order.json").write_text('{"item": "book", "count": 2}')
    for text in ('{"item": "book", "count": 2}', f"@{tmp_path / 'order.json'}"):
        echoed = tried(tmp_path, f"{target.url}/echo", "--json-body", text)
        assert echoed["method"] == "POST"
        assert ["Content-Type", "application/json"] in echoed["headers"]
        assert json.loads(echoed["body"]) == {"item": "book", "count": 2}
    echoed = tried(tmp_path, f"{target.url}/echo", "--form", "a=1 & 2", "--form", "b=x", "--form", "b=y", "-X", "PUT")
    assert (echoed["method"], echoed["body"]) == ("PUT", "a=1%20%26%202&b=x&b=y")
    assert ["Content-Type", "application/x-www-form-urlencoded"] in echoed["headers"]


def test_a_form_with_a_file_is_multipart(target: TargetServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.txt").write_text("pixels")
    echoed = tried(tmp_path, f"{target.url}/echo", "--form", "title=sea", "--form", "photo=@photo.txt")
    assert 'name="photo"; filename="photo.txt"' in echoed["body"]
    assert "pixels" in echoed["body"]


def test_credentials_are_read_from_the_flag_a_file_stdin_and_the_environment(
    target: TargetServer, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("atm-token\n")
    url = f"{target.url}/auth/bearer"
    for value, given in (("atm-token", b""), (f"@{tmp_path / 'token'}", b""), ("-", b"atm-token\n")):
        assert program.atm(tmp_path, "try", url, "--bearer", value, given=given).code == 0, value
    assert program.atm(tmp_path, "try", url, "--bearer", "{{env:SHOP}}", more={"SHOP": "atm-token"}).code == 0
    assert program.atm(tmp_path, "try", url, "--bearer", "wrong").code == 99
    basic = f"{target.url}/auth/basic"
    assert program.atm(tmp_path, "try", basic, "--user", "atm-user:atm-password").code == 0
    assert program.atm(tmp_path, "try", basic, "--user", "-", given=b"atm-user:atm-password").code == 0


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--bearer", "a", "--user", "b:c"], "--user and --bearer each set the credentials"),
        (["--user", "alone"], "the user has no password"),
        (["--bearer", "@missing"], "cannot read missing"),
        (["--json-body", "{a: 1}"], "the body is not JSON"),
        (["--json-body", "1", "-d", "2"], "--data and --json-body each set the request body"),
        (["--form", "alone"], "a field of the form has no name and value"),
        (["--redirects", "51"], "redirects must be at most 50"),
        (["--ca", "missing.pem"], "missing.pem"),
    ],
)
def test_flags_that_cannot_be_used_are_refused_before_any_request(
    tmp_path: Path, flags: list[str], problem: str
) -> None:
    said = program.atm(tmp_path, "run", "http://127.0.0.1:9/", "-n", "1", *flags)
    assert said.code == 2
    assert problem in said.err


def test_a_spec_and_a_secret_cannot_both_come_from_stdin(tmp_path: Path) -> None:
    said = program.atm(tmp_path, "run", "-", "--bearer", "-", given=b"url: http://127.0.0.1:9/")
    assert (said.code, "cannot both be read from stdin" in said.err) == (2, True)


def test_connections_follow_the_flags(target: TargetServer, tmp_path: Path) -> None:
    said = program.atm(tmp_path, "run", f"{target.url}/users", "-n", "6", "-c", "1", "--no-keepalive", "--quiet")
    assert said.code in (0, 4), said.err
    assert target.settled_stats().connections_accepted == 6
    redirected = f"{target.url}/redirect/2"
    assert program.atm(tmp_path, "try", redirected).code == 99
    assert program.atm(tmp_path, "try", redirected, "--redirects", "2").code == 0
    proxied = program.atm(tmp_path, "try", "http://shop.test/", "--proxy", "http://127.0.0.1:9")
    # The proxy refused it; the name was never looked up.
    assert (proxied.code, "connection refused" in proxied.out) == (3, True)
    assert "not HTTP/2" in program.atm(tmp_path, "try", f"{target.url}/users", "--http2").out


_ARGUMENTS_OF_CHILDREN = """
import os, pathlib, sys, threading, time
from atm.cli.main import main

seen, ended = set(), threading.Event()

def watch():
    while not ended.is_set():
        for process in pathlib.Path("/proc").iterdir():
            try:
                if process.name.isdigit() and int(process.name) != os.getpid():
                    seen.add((process / "cmdline").read_bytes())
            except OSError:
                pass
        time.sleep(0.02)

watcher = threading.Thread(target=watch)
watcher.start()
code = main(sys.argv[1:])
ended.set()
watcher.join()
print(sum(b"fleet.worker_process" in each for each in seen), file=sys.stderr)
print("LEAK" if any(os.environ["LOOKED_FOR"].encode() in each for each in seen) else "clean", file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="reads the arguments of processes in /proc")
def test_secrets_of_flags_are_in_no_history_no_output_and_no_arguments_of_other_processes(
    target: TargetServer, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    for flag, value in (("--bearer", SECRET), ("--user", f"me:{SECRET}")):
        # Its own arguments hold the secret; what it starts must not.
        (tmp_path / "secret").write_text(value)
        arguments = ["run", f"{target.url}/echo", "--rate", "30", "-z", "2s", "--processes", "2"]
        process = subprocess.run(
            [sys.executable, "-c", _ARGUMENTS_OF_CHILDREN, *arguments, flag, f"@{tmp_path / 'secret'}"],
            capture_output=True,
            text=True,
            env={**program.environment(data), "LOOKED_FOR": SECRET},
        )
        assert process.returncode in (0, 4), process.stderr
        workers, arguments_of_others = process.stderr.splitlines()[-2:]
        assert (int(workers) > 0, arguments_of_others) == (True, "clean")
        assert program.atm(data, "show", "last", "--all").code in (0, 4)
        kept = [path.read_bytes() for path in data.rglob("*") if path.is_file()]
        kept += [
            process.stdout.encode(),
            process.stderr.encode(),
            program.atm(data, "show", "last", "--json").out.encode(),
        ]
        encoded = base64.b64encode(f"me:{SECRET}".encode())
        assert not [each for each in kept if SECRET.encode() in each or encoded in each]


SHELLS = {
    "bash": {"_ATM_COMPLETE": "complete_bash", "COMP_WORDS": "atm run --bea", "COMP_CWORD": "2"},
    "zsh": {"_ATM_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "atm run --bea"},
    "fish": {
        "_ATM_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_ARGS": "atm run --bea",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    },
    "powershell": {
        "_ATM_COMPLETE": "complete_powershell",
        "_TYPER_COMPLETE_ARGS": "atm run --bea",
        "_TYPER_COMPLETE_WORD_TO_COMPLETE": "--bea",
    },
}


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_completes_options(shell: str) -> None:
    environment = {**os.environ, **SHELLS[shell]}
    command = [str(Path(sys.executable).parent / "atm")]
    process = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert "--bearer" in process.stdout, process.stderr
    script = subprocess.run([*command, "--show-completion", shell], capture_output=True, text=True, check=True).stdout
    assert "atm" in script


def test_bash_completes_commands_and_options_with_the_script_that_is_installed() -> None:
    folder = Path(sys.executable).parent
    script = subprocess.run(
        [folder / "atm", "--show-completion", "bash"], capture_output=True, text=True, check=True
    ).stdout
    commands = f"""{script}
COMP_WORDS=(atm sched); COMP_CWORD=1; _atm_completion atm; echo "${{COMPREPLY[@]}}"
COMP_WORDS=(atm run --no-keep); COMP_CWORD=2; _atm_completion atm; echo "${{COMPREPLY[@]}}"
"""
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    process = subprocess.run(["bash", "-c", commands], capture_output=True, text=True, env=environment, check=True)
    assert process.stdout.split() == ["schedule", "--no-keepalive"]
