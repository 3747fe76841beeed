"""The time series of a run as rows, shared by all storages: encoding, rollups and windows.

Pure: no I/O and no clock. Start with `rows.py` (the rows), then `rollup.py` (aggregates of 10 s, 60 s and the whole
run), `windows.py` (windows from as few rows as possible) and `queries.py` (the queries of the storages).
"""
