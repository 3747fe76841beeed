"""Fills a fresh installation for the tests in a browser: runs, the newest one with two hours of intervals.

Usage: python webapp/e2e/fill.py DATA_DIR RUNS ENDPOINTS
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from pathlib import Path

from atm.config import Settings
from atm.storage import open_storage
from atm.storage.records import RunQuery
from benches import storage as bench


async def main(folder: Path, runs: int, endpoint_count: int) -> None:
    """Fill it, and say the id of the run that has seconds."""
    settings = Settings(data_dir=folder)
    await (await open_storage(settings)).close()
    bench.RUNS, bench.ENDPOINTS = runs, endpoint_count
    bench.fill_runs(settings.database_file)
    with sqlite3.connect(settings.database_file) as connection:
        # What the benchmark fills its documents with are no figures; a run that was cancelled early has none either.
        connection.execute("UPDATE runs SET metrics_json = NULL, endpoint_metrics_json = NULL, result_json = NULL")
    storage = await open_storage(settings)
    newest = (await storage.runs.page(RunQuery(limit=1))).runs[0].id
    await storage.close()
    with sqlite3.connect(settings.database_file) as connection:
        endpoints = [{"name": f"endpoint {at + 1}", "url": "https://shop.example/"} for at in range(bench.ENDPOINTS)]
        connection.execute(
            "UPDATE runs SET status = 'cancelled', passed = NULL, sampled_requests_json = NULL,"
            " next_interval = ?, spec_json = ? WHERE id = ?",
            (60 * bench.MINUTES, json.dumps({"name": "two hours", "endpoints": endpoints}), newest),
        )
    bench.fill_series(settings.database_file, newest)
    sys.stdout.write(newest)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
