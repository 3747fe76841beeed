"""The second-by-second history of a run as rows, the same for every storage: coded, added up, and cut into windows.

Pure: no I/O and no clock. Start with `rows.py` (what a row is), then `rollup.py` (how seconds become rows of 10 s, 60 s
and the whole run), `windows.py` (how any window is answered from them) and `queries.py` (what storages ask).
"""
