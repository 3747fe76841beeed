from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import audit
from tools.repository import ROOT
from tools.sbom import python_components, rust_components


@pytest.mark.skipif(shutil.which("npm") is None, reason="no npm here, which lists the packages of the dashboard")
def test_every_locked_package_is_in_the_bill_once(tmp_path: Path) -> None:
    place = tmp_path / "bill.json"
    done = subprocess.run(
        [sys.executable, "-m", "tools.sbom", str(place)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    bill = json.loads(place.read_text())
    assert bill["bomFormat"] == "CycloneDX"
    purls = [each["purl"] for each in bill["components"]]
    assert len(purls) == len(set(purls)), done.stdout
    locked = re.findall(r"^(\S+)==(\S+)", (ROOT / "requirements/ray.txt").read_text(), re.MULTILINE)
    assert {f"pkg:pypi/{name}@{version}" for name, version in locked} <= set(purls)
    crates = (ROOT / "native/Cargo.lock").read_text().count("checksum = ")
    assert sum(purl.startswith("pkg:cargo/") for purl in purls) == crates > 0
    assert sum(purl.startswith("pkg:npm/") for purl in purls) > 50


def test_names_and_checksums_are_those_of_the_locks() -> None:
    [found] = python_components("Foo_Bar==1.2 ; python_version < '3.12' \\\n    --hash=sha256:aa\n# x==1\n")
    assert found["purl"] == "pkg:pypi/foo-bar@1.2"
    lock = '[[package]]\nname = "a"\nversion = "1"\nsource = "registry"\nchecksum = "ff"\n'
    lock += '[[package]]\nname = "own"\nversion = "0"\n'
    [found] = rust_components(lock)
    assert (found["purl"], found["hashes"]) == ("pkg:cargo/a@1", [{"alg": "SHA-256", "content": "ff"}])


def _audit(script: str) -> audit.Audit:
    return audit.Audit("test", ("sh", "-c", script), ROOT, r"^found \d+ known vulnerabilit", "install it")


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ("exit 0", 0, "no known advisory"),
        ("echo Found 1 known vulnerability; exit 1", 1, "known vulnerability"),
        ("echo connection refused; exit 1", 2, "could not be had: connection refused"),
        ("echo No known vulnerabilities found; echo 3 packages skipped; exit 1", 2, "could not be had"),
        ("exit 3", 2, "it said nothing"),
    ],
)
def test_advisories_that_could_not_be_had_are_not_taken_for_none(script: str, code: int, words: str) -> None:
    found, line = audit.outcome(_audit(script))
    assert found == code
    assert words in line


def test_a_tool_that_is_missing_is_named() -> None:
    missing = audit.Audit("test", ("no-such-tool-here",), ROOT, "x", "install it")
    assert audit.outcome(missing) == (2, "not compared: no-such-tool-here is missing (install it)")
