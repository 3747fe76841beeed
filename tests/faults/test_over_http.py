"""What clients of the API see of a disk that became read-only, of a broken file, and of a clock that jumps.

One server for all, on JSON files: it opens each when it needs it, so that they can be taken away from it.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from atm.testing import TargetServer
from tests.api.server import ApiServer, ended, events
from tests.disks import mounted, needs_root
from tests.runs.installation import spec

pytestmark = pytest.mark.timeout(300)

CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static volatile long *offset;

__attribute__((constructor)) static void begin(void) {
    int file = open(OFFSET, O_RDONLY);
    offset = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
}

int clock_gettime(clockid_t which, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(which, now);
    if (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE) now->tv_sec += *offset;
    return result;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (now) *now = found.tv_sec;
    return found.tv_sec;
}
"""
"""In front of the machine's wall clock; the monotonic one is not affected."""
YEAR = 365 * 86_400


@dataclass(frozen=True, slots=True)
class Installation:
    """A server with its history on a disk of its own."""

    server: ApiServer
    history: Path
    offset: Path | None
    """Seconds that the wall clocks of its processes are off; null where no compiler could make them jump."""

    def jump(self, seconds: int) -> None:
        assert self.offset is not None
        with self.offset.open("r+b") as file:
            file.write(struct.pack("l", seconds))


@pytest.fixture(scope="module")
def target() -> Iterator[TargetServer]:
    with TargetServer() as server:
        yield server


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    data_dir = tmp_path_factory.mktemp("faults") / "data"
    data_dir.mkdir()
    environment: dict[str, Any] = {}
    offset = None
    if compiler := shutil.which("cc"):
        source, library, offset = (data_dir / name for name in ("clock.c", "clock.so", "offset"))
        source.write_text(CLOCK)
        subprocess.run(
            [compiler, "-shared", "-fPIC", f'-DOFFSET="{offset}"', "-o", library, source, "-ldl"], check=True
        )
        offset.write_bytes(struct.pack("l", 0))
        environment = {"LD_PRELOAD": str(library)}
    history = data_dir / "json"
    if os.geteuid() != 0:
        server = ApiServer(data_dir, ATM_STORAGE_TYPE="json", **environment)
        yield Installation(server.ready(), history, offset)
        server.stop()
        return
    with mounted(history, 12):
        server = ApiServer(data_dir, ATM_STORAGE_TYPE="json", **environment)
        yield Installation(server.ready(), history, offset)
        server.stop()


@pytest.fixture
def client(installation: Installation) -> Iterator[httpx.Client]:
    with installation.server.client() as opened:
        yield opened
    assert "Traceback" not in installation.server.log()


def post(client: httpx.Client, document: dict[str, Any]) -> str:
    answer = client.post("/runs", json={"spec": document})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def refusal(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    assert answer.json()["detail"]
    return answer.status_code, answer.json()["code"]


@needs_root
def test_a_disk_that_became_read_only_is_said_and_nothing_is_lost(
    installation: Installation, client: httpx.Client, target: TargetServer
) -> None:
    run_id = post(client, spec(target, total_requests=5))
    before = ended(client, run_id)
    sent_before = target.settled_stats().received
    going_on = post(client, spec(target, requests_per_second=50, duration=3))
    for _, kind, _ in events(client, going_on):
        if kind == "interval":
            break
    remount(installation.history, "ro")
    try:
        for answer in (
            client.post("/runs", json={"spec": spec(target, total_requests=1)}),
            client.patch(f"/runs/{run_id}", json={"notes": "new"}),
            client.delete(f"/runs/{run_id}"),
            client.post("/tests", json={"spec": spec(target, name="kept")}),
        ):
            assert refusal(answer) == (503, "storage_read_only"), answer.text
            assert answer.headers["retry-after"]
        # What is there can be read, and the load runs to its end.
        assert client.get(f"/runs/{run_id}").json() == before
        assert client.get("/runs").status_code == 200
        while target.stats().received < sent_before + 150:
            time.sleep(0.05)
    finally:
        remount(installation.history, "rw")
    after = ended(client, going_on)
    assert (after["status"], after["error_message"], after["requests_completed"]) == ("completed", None, 150)
    assert client.patch(f"/runs/{run_id}", json={"notes": "new"}).json()["notes"] == "new"


def remount(disk: Path, how: str) -> None:
    """Again until nothing is being written just now."""
    deadline = time.monotonic() + 240
    while (done := subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], capture_output=True)).returncode:
        assert time.monotonic() < deadline, done.stderr
        time.sleep(0.01)


def test_a_broken_file_is_named_and_when_it_is_gone_all_goes_on(
    installation: Installation, client: httpx.Client, target: TargetServer, tmp_path: Path
) -> None:
    fine, broken = (post(client, spec(target, total_requests=2)) for _ in range(2))
    before = ended(client, fine)
    ended(client, broken)
    folder = installation.history / "runs" / broken
    (folder / "run.json").write_text('{"summary": ')
    for path in (f"/runs/{broken}", "/runs", f"/runs/{broken}/result", f"/runs/{broken}/events", "/history"):
        answer = client.get(path)
        assert refusal(answer) == (503, "corrupt_data"), (path, answer.text)
        assert "retry-after" not in answer.headers
        assert "move its directory away" in answer.json()["errors"][0]["hint"]
    assert client.get(f"/runs/{fine}").json() == before
    shutil.move(folder, tmp_path / "away")
    # Without a new start: the server that claims and watches runs has lived through it.
    assert client.get(f"/runs/{broken}").status_code == 404
    assert broken not in {run["id"] for run in client.get("/runs").json()["runs"]}
    assert ended(client, post(client, spec(target, total_requests=2)))["status"] == "completed"


def test_jumps_of_the_clock_end_no_run_and_lose_nothing(
    installation: Installation, client: httpx.Client, target: TargetServer
) -> None:
    if installation.offset is None:
        pytest.skip("no C compiler here (cc) to put a clock that jumps in front of the machine's")
    target.settled_stats()
    target.reset()
    run_id = post(client, spec(target, requests_per_second=50, duration=3600, name="jumping"))
    offsets, streamed, years = [YEAR, -YEAR, 0], [], list[str]()
    for number, kind, data in events(client, run_id):
        if number:
            streamed.append((int(number), kind, data))
        # The next jump comes, and at last the end, when the run has written a second after the jump before.
        if kind == "interval" and data["at"][:4] not in years[-1:]:
            years.append(data["at"][:4])
            if offsets:
                installation.jump(offsets.pop(0))
            else:
                client.post(f"/runs/{run_id}/cancel", params={"graceful": True})
    assert years == [years[0], str(int(years[0]) + 1), str(int(years[0]) - 1), years[0]]
    assert [number for number, _, _ in streamed] == list(range(1, len(streamed) + 1))
    seconds = [data for _, kind, data in streamed if kind == "interval"]
    run = ended(client, run_id)
    completed = sum(data["completed"] for data in seconds)
    assert (run["status"], run["error_message"], run["requests_completed"]) == ("completed", None, completed)
    assert completed == target.settled_stats().completed > 100
    # A jump is a year.
    assert run["metrics"]["duration_seconds"] == pytest.approx(len(seconds), abs=2)
    # Runs of another year are listed and carried out as others are.
    installation.jump(-YEAR)
    earlier = ended(client, post(client, spec(target, total_requests=2, name="jumping")))
    installation.jump(0)
    listed = client.get("/runs", params={"name": "jumping"}).json()
    assert [each["id"] for each in listed["runs"]] == [run_id, earlier["id"]]
