"""Metrics: intervals, the collector that adds them up, thresholds, the measurement verdict, the result.

Pure: no I/O, no clock, no engine; may import `models` and `errors` only. Start with `histogram.py` and `interval.py`,
then `collector.py`, `thresholds.py`, `verdict.py` and `summary.py`.
"""
