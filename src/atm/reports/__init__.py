"""Results for people and for other tools: the rungs of the latency histogram, and how figures are spelled.

May import `metrics`, `models` and `errors` only. Start with `figures.py`.
"""
