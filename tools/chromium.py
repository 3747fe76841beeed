"""Find a Chromium for the tests of the dashboard, or install Debian's package as root.

The first choice is the headless shell: the same engine without the windows and menus that a whole Chromium draws for
each page even where no one sees them. Pages take two thirds of the CPU time in it. Without a browser the browser tests
are skipped, with a hint.

Usage: python -m tools.chromium
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tools.packages import install

MISSING = "no Chromium here to test with: apt-get install chromium (as root, `make test` does it by itself)"
_PACKAGES = ("chromium-headless-shell", "chromium")
"""Older releases of Debian have only the latter."""
_NAMES = (*_PACKAGES, "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")


def browser() -> str | None:
    """Return the path of the browser, or None."""
    named = os.environ.get("ATM_TEST_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, _NAMES)), None)
    return found or (str(_MAC) if _MAC.exists() else None)


def main() -> str | None:
    """Find or install the browser; print problems to stderr."""
    found = browser()
    if found is None:
        error = install(_PACKAGES[0]) and install(_PACKAGES[1])
        found = browser()
        if found is None:
            print(f"set-up: {MISSING}{f' (tried: {error})' if error else ''}", file=sys.stderr)
    return found


if __name__ == "__main__":
    main()
