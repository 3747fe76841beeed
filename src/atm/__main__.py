"""The program's entrance: `atm` and `python -m atm`.

`--version` is answered here, before anything else is imported, so that asking for it costs next to nothing.
"""

import sys

from atm.version import VERSION


def main() -> None:
    """Run the command line and end the process with its exit code (docs/reference/exit-codes.md)."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        sys.stdout.write(f"atm {VERSION}\n")
        return
    import gc

    # Imports make tens of thousands of objects that stay; looking through them again and again takes 5 % of the start.
    gc.set_threshold(100_000, 20, 20)
    from atm.cli.main import main as run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
