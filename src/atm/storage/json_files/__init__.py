"""Storage in readable JSON files, without a database. For one host and a few thousand runs.

    lock                    the lock for all changes
    format.json             {"format": 1}
    runs/<id>/run.json      status, lease, metrics; replaced atomically
              spec.json     written on creation
              result.json   written at the end
              rows-1.jsonl  one line per second; beside it rows-10, rows-60 and rows-0 (the whole run)
              events.jsonl samples.jsonl
    tests.json keys.json schedules.json deliveries.json
    firings/<id>.jsonl      firings of a schedule; the last line of a due time is valid

Start with `files.py` (crash safety), then `runs.py`.
"""
