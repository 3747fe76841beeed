"""What is imported before the first request."""

from __future__ import annotations

import subprocess
import sys


def test_collecting_and_judging_import_no_models_of_results() -> None:
    script = "import sys, atm.metrics.collector, atm.metrics.thresholds; print('pydantic' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=200)
    assert finished.stdout == "False\n"
