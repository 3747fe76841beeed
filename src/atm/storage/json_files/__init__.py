"""JSON files: a history that a person can read, and that needs no database. For one host and some thousand runs.

    lock                    under which everything is changed
    format.json             {"format": 1}
    runs/<id>/run.json      status, lease, figures; by atomic replace
              spec.json     as it was created
              result.json   when it has ended
              rows-1.jsonl  one line a second; rows-10, rows-60 and rows-0 (the whole run) beside it
              events.jsonl samples.jsonl
    tests.json keys.json schedules.json deliveries.json
    firings/<id>.jsonl      of a schedule; of several lines about one due time the last counts

Start with `files.py` (what makes it safe), then `runs.py`.
"""
