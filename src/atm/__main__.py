"""Entry point of `atm` and `python -m atm`.

Handles `--version` before any other import, so that it is fast.
"""

import sys

from atm.version import VERSION


def main() -> None:
    """Run the command line and end the process with its exit code (docs/reference/exit-codes.md)."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        _print_version()
        return
    from atm import entry_point

    entry_point.run(_run_command)


def _run_command() -> int:
    from atm.cli.main import main

    return main(sys.argv[1:])


def _print_version() -> None:
    try:
        sys.stdout.write(f"atm {VERSION}\n")
        sys.stdout.flush()
    except OSError as error:
        import os

        # Python flushes again at exit, which needs an open descriptor that accepts the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            sys.exit(f"error: cannot write to standard output: {error.strerror} [unwritable]")


if __name__ == "__main__":
    main()
