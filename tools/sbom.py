"""Writes the bill of materials of a release: every Python, Rust and npm package of the locks, in CycloneDX JSON.

Python and Rust packages are read from their locks; `npm sbom` reads npm's. No registry is contacted.

Usage: python -m tools.sbom FILE
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from atm.version import VERSION
from tools.repository import ROOT

_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def python_components(lock: str) -> list[dict[str, Any]]:
    """The packages of a lock of requirements/."""
    found = []
    for name, version in _PINNED.findall(lock):
        normal = re.sub(r"[-_.]+", "-", name).lower()
        found.append(_component(normal, version, f"pkg:pypi/{normal}@{version}"))
    return found


def rust_components(lock: str) -> list[dict[str, Any]]:
    """The crates of a Cargo.lock, without those of the workspace itself."""
    found = []
    for each in tomllib.loads(lock)["package"]:
        if "source" in each:
            component = _component(each["name"], each["version"], f"pkg:cargo/{each['name']}@{each['version']}")
            component["hashes"] = [{"alg": "SHA-256", "content": each["checksum"]}]
            found.append(component)
    return found


def npm_components(directory: Path) -> list[dict[str, Any]]:
    """The packages that the dashboard is built from. Raises CalledProcessError, FileNotFoundError without npm."""
    command = ["npm", "sbom", "--sbom-format", "cyclonedx", "--package-lock-only"]
    done = subprocess.run(command, cwd=directory, capture_output=True, check=True)
    components: list[dict[str, Any]] = json.loads(done.stdout)["components"]
    return components


def document(components: list[dict[str, Any]]) -> dict[str, Any]:
    """CycloneDX 1.5. Without a time or a random number: the same locks give the same file."""
    unique = {each["bom-ref"]: each for each in components}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "api-test-machine",
                "name": "api-test-machine",
                "version": VERSION,
                "licenses": [{"license": {"id": "MIT"}}],
            }
        },
        "components": [unique[reference] for reference in sorted(unique)],
    }


def _component(name: str, version: str, purl: str) -> dict[str, Any]:
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def main(arguments: list[str]) -> int:
    """Write the file that is named."""
    components = python_components((ROOT / "requirements/ray.txt").read_text("utf-8"))
    components += rust_components((ROOT / "native/Cargo.lock").read_text("utf-8"))
    try:
        components += npm_components(ROOT / "webapp")
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"build: no packages of the dashboard in the bill of materials, as npm did not list them: {error}")
    place = Path(arguments[0])
    place.write_text(json.dumps(document(components), indent=2) + "\n", encoding="utf-8")
    print(f"build: {len(components)} packages in {place.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
