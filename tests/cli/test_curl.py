"""`atm curl`: what stands behind it is curl's, and what it prints is a spec that runs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest
import yaml

from atm import run_sync
from atm.importers.curl import import_arguments
from atm.models.spec import TestSpec
from atm.testing import TargetServer


def atm(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "atm", *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)


def sent(target: TargetServer) -> list[tuple[str, list[str], str]]:
    """Request line, header lines but User-Agent in order of their names, and body of each request."""
    requests = []
    for request in target.captured():
        head, _, body = (request.raw or b"").decode().partition("\r\n\r\n")
        line, *headers = head.split("\r\n")
        kept = [header for header in headers if not header.lower().startswith("user-agent:")]
        # A boundary is any text that stands in no part.
        boundary = re.search(r"boundary=(\S+)", head)
        # An empty value and the letters of a percent-encoding may be written in two ways.
        line = re.sub(r"%[0-9A-Fa-f]{2}", lambda found: found[0].upper(), line)
        kept = [header.rstrip() for header in kept]
        whole = "\n".join([line, *sorted(kept, key=lambda header: header.partition(":")[0].lower())])
        whole = re.sub(r"Content-Length: \d+", "Content-Length: N", whole, flags=re.IGNORECASE) if boundary else whole
        mark = boundary[1] if boundary else "\0"
        requests.append((line, whole.replace(mark, "BOUNDARY").lower().split("\n")[1:], body.replace(mark, "BOUNDARY")))
    return requests


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl to compare with")
@pytest.mark.parametrize(
    "arguments",
    [
        ["URL?a=1"],
        ["-X", "DELETE", "URL"],
        ["-d", "a=1", "-d", "b=ü", "URL"],
        ["--json", '{"a": "{{x}}"}', "URL"],
        ["-H", "X-A: 1", "-H", "X-A: 2", "-H", "Accept:", "-H", "X-Empty;", "-H", "No colon", "URL"],
        ["-G", "--data-urlencode", "q=a b&c", "-d", "x=1", "URL"],
        ["--url-query", "q=a~b/c", "URL"],
        ["-b", "a=1", "-e", "http://here/;auto", "-r", "0-99", "URL"],
        ["-u", "me:päss:word", "URL"],
        ["-F", "a=1", "-F", "b=x y;type=text/html", "--form-string", "c=@d;e", "URL"],
        ["-d", "x", "-H", "Content-Type:", "URL"],
        ["URL?n={1,2}&m=[3-4]"],
        ["--data-urlencode", "a=x y+z", "--data-urlencode", "=lone&", "URL"],
        ["-I", "URL"],
    ],
)
def test_a_run_sends_what_curl_sends(target: TargetServer, arguments: list[str]) -> None:
    arguments = [argument.replace("URL", f"{target.url}/echo/raw") for argument in arguments]
    subprocess.run(["curl", "-s", "-o", "/dev/null", *arguments], timeout=60, check=True)
    expected = sent(target)
    target.reset()
    spec = import_arguments(arguments).spec | {"total_requests": len(expected), "concurrency": 1}
    for engine in ("asyncio", "native"):
        run_sync(TestSpec.from_data(spec | {"engine": engine}))
        assert sent(target) == expected, engine
        target.reset()


def test_a_copied_text_is_read_from_stdin() -> None:
    text = "curl 'http://127.0.0.1:1/a' \\\n  -H 'A: b' \\\n  --data-raw $'x\\ny'\ncurl http://127.0.0.1:1/b\n"
    made = atm("curl", text=text)
    spec = yaml.safe_load(made.stdout)
    assert [endpoint["url"][-2:] for endpoint in spec["endpoints"]] == ["/a", "/b"]
    assert spec["endpoints"][0]["body"] == "x\ny"
    assert "body: |-" in made.stdout


def test_what_is_wrong_is_said_with_the_usual_exit_code() -> None:
    for arguments, text in ((["curl", "-T", "file"], ""), (["curl"], "wget http://a"), (["curl", "--json"], "")):
        made = atm(*arguments, text=text)
        assert made.returncode == 2
        assert made.stdout == ""
        assert made.stderr.startswith("error: ")


@pytest.mark.parametrize("arguments", [("-",), ()])
def test_a_whole_command_is_read_from_stdin_or_from_one_argument(arguments: tuple[str, ...]) -> None:
    command = "curl -d 'a=1' http://127.0.0.1:9/a && curl http://127.0.0.1:9/b"
    from_stdin = atm("curl", *arguments, text=command)
    quoted = atm("curl", command)
    assert (from_stdin.returncode, quoted.returncode) == (0, 0), quoted.stderr
    assert from_stdin.stdout == quoted.stdout
    assert [endpoint["url"] for endpoint in yaml.safe_load(quoted.stdout)["endpoints"]] == [
        "http://127.0.0.1:9/a",
        "http://127.0.0.1:9/b",
    ]
