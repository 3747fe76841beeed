"""The process that loads a Python file for a server, so that no code of users runs in the server itself.

It prints what a plan needs, or the problems, as one line of JSON. What the code prints goes to standard error.

Usage: python -m atm.code.reader_process DIRECTORY code FILE.py:FUNCTION | hooks FILE.py (started by the server)
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from atm.code.hook_file import open_hooks
from atm.code.module import open_function
from atm.errors import DataError


def read(directory: str, kind: str, text: str) -> dict[str, Any]:
    """Return the function or the hooks as JSON, or the problems."""
    try:
        if kind == "hooks":
            return {"hooks": asdict(open_hooks(text, Path(directory)))}
        function = open_function(text, Path(directory))
    except DataError as error:
        return {"problems": [asdict(problem) for problem in error.problems]}
    return {"function": {**asdict(function), "data": sorted(function.data)}}


def main() -> int:
    """Load the file and print what it has."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    answer.write(json.dumps(read(*sys.argv[1:])))
    answer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
