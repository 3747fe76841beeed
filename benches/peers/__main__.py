"""Command line of this benchmark: python -m benches.peers [--help]"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benches.measure import RESULTS, MeasurementError
from benches.peers import campaign, publish
from benches.peers.campaign import SECTIONS, Campaign, Settings
from benches.peers.clients import CLIENTS
from benches.peers.closed_rows import CLIENT_CPU, SERVER_CPU
from benches.peers.figures import bars
from benches.peers.install import peers_folder
from benches.peers.table import markdown


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    if options.publish is not None:
        return _publish(options.publish)
    settings = _settings(options)
    unknown = (set(settings.sections) - set(SECTIONS)) | (set(settings.clients) - set(CLIENTS))
    if unknown:
        print(f"error: unknown: {', '.join(sorted(unknown))}", file=sys.stderr)
        print(f"  hint: sections are {', '.join(SECTIONS)}; clients are {', '.join(CLIENTS)}", file=sys.stderr)
        return 2
    if sys.platform != "linux" or not {CLIENT_CPU, SERVER_CPU} <= os.sched_getaffinity(0):
        print("error: this benchmark needs Linux and two cores, one for the client and one for the server")
        return 2
    if options.install:
        campaign.install_all(settings.clients)
    if options.install_only:
        return 0
    # Everything except the measured client, including this process, runs on the server's core.
    os.sched_setaffinity(0, {SERVER_CPU})
    try:
        document = Campaign(settings, lambda line: print(line, flush=True)).run()
    except MeasurementError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    path = _place(options)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(f"\n{markdown(document)}\nraw output: {path}")
    judged = bars(document)
    missed = [bar.what for bar in judged if bar.verdict == "missed"]
    print(f"bars: {sum(bar.verdict == 'reached' for bar in judged)} reached, {len(missed)} missed, of {len(judged)}")
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benches.peers", description="Side by side with other tools.")
    defaults = Settings()
    parser.add_argument("--only", help=f"sections, separated by commas: {','.join(SECTIONS)}")
    parser.add_argument("--clients", help="names of clients, separated by commas")
    parser.add_argument("--repeats", type=int, help=f"of the closed rows (default {defaults.repeats})")
    parser.add_argument("--open-repeats", type=int, help=f"of the paced rows (default {defaults.open_repeats})")
    parser.add_argument(
        "--quick", action="store_true", help="short windows, one repeat: tests the harness, no usable figures"
    )
    parser.add_argument("--no-install", dest="install", action="store_false", help="measure with what is there")
    parser.add_argument("--install-only", action="store_true", help="install what is missing, and measure nothing")
    parser.add_argument("--output", type=Path, help="where to write (default: benches/results/peers-DATE.json)")
    parser.add_argument(
        "--publish",
        type=Path,
        nargs="?",
        const=Path(),
        help="write the newest results (or those of FILE, which is copied to results/) into the docs",
    )
    return parser.parse_args(arguments)


def _settings(options: argparse.Namespace) -> Settings:
    settings = campaign.quick(Settings()) if options.quick else Settings()
    if options.only:
        settings = replace(settings, sections=tuple(options.only.split(",")))
    if options.clients:
        settings = replace(settings, clients=tuple(options.clients.split(",")))
    if options.repeats:
        settings = replace(settings, repeats=options.repeats)
    if options.open_repeats:
        settings = replace(settings, open_repeats=options.open_repeats)
    return settings


def _place(options: argparse.Namespace) -> Path:
    """Incomplete or quick campaigns must not replace the published figures."""
    if options.output:
        return Path(options.output)
    whole = not (options.quick or options.only or options.clients)
    return RESULTS / f"peers-{datetime.now(UTC):%Y-%m-%d}.json" if whole else peers_folder() / "partial.json"


def _publish(given: Path) -> int:
    from tools import generate

    if given != Path():
        print(f"kept as {publish.keep(given)}")
    if publish.newest() is None:
        print("error: benches/results/ has no figures of the peers\n  hint: make bench-peers", file=sys.stderr)
        return 1
    return generate.main([])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
