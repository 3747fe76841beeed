"""The program's entrance: `atm` and `python -m atm`.

`--version` is answered here, before anything else is imported, so that asking for it costs next to nothing.
"""

import sys

from atm.version import VERSION


def main() -> None:
    """Run the command line and end the process with its exit code (docs/reference/exit-codes.md)."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        _print_version()
        return
    import gc

    # Imports make tens of thousands of objects that stay; looking through them again and again takes 5 % of the start.
    gc.set_threshold(100_000, 20, 20)
    from atm.cli.main import main as run

    sys.exit(run(sys.argv[1:]))


def _print_version() -> None:
    try:
        sys.stdout.write(f"atm {VERSION}\n")
        sys.stdout.flush()
    except OSError as error:
        import os

        # Python flushes at exit once more; it must find an open descriptor that takes everything.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            sys.exit(f"error: cannot write to standard output: {error.strerror} [unwritable]")


if __name__ == "__main__":
    main()
