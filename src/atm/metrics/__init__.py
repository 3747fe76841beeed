"""Measuring: histograms, a second's aggregate, the collector that adds them up, thresholds, the measurement's verdict.

Pure: no I/O, no clock, no engine; may import `models` and `errors` only. Start with `histogram.py`, then `interval.py`.
"""
