from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest


def test_the_target_says_where_it_is_answers_and_ends_with_ctrl_c() -> None:
    command = [sys.executable, "-m", "atm", "target", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = ""
        while not said.endswith("}\n"):
            said += process.stdout.readline()
        document = json.loads(said)
        with urllib.request.urlopen(f"{document['url']}/users", timeout=100) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=100) == 0
    assert "/users" in document["routes"]


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (
            ("--host", "0.0.0.0"),
            2,
            "only on this machine itself [not_loopback]\n  at: --host",
        ),
        (("--port", "99999"), 2, "99999 is no port [bad_port]\n  at: --port"),
    ],
)
def test_a_flag_that_cannot_be_is_an_error_of_usage(flags: tuple[str, ...], code: int, said: str) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "atm", "target", *flags], capture_output=True, text=True, timeout=30
    )
    assert process.returncode == code
    assert said in process.stderr


def test_a_port_that_is_taken_is_answered_with_a_command() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "atm", "target", "--port", str(port)]
        process = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert process.returncode == 1
    assert f"port {port} on 127.0.0.1 is in use by process {os.getpid()}" in process.stderr
    assert f"hint: `atm target --port {port + 1}`, or `--port 0` for a free one" in process.stderr
