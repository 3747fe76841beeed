"""Benchmarks: each compares a measurement with a limit (bar), prints a table, and writes its samples to results/.

They run the installed program from outside; most import only the target server from `atm`. To add one, write a module
with `main() -> int` (0 if every bar holds) and name it in `__main__.py`. Start reading with measure.py.
"""
