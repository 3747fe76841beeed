from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request


def test_the_target_says_where_it_is_answers_and_ends_with_ctrl_c() -> None:
    command = [sys.executable, "-m", "atm", "target", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = ""
        while not said.endswith("}\n"):
            said += process.stdout.readline()
        document = json.loads(said)
        with urllib.request.urlopen(f"{document['url']}/users", timeout=10) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0
    assert "/users" in document["routes"]
