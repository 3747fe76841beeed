"""Benchmarks: each measures something that has a bar, prints a table with it, and keeps its samples in results/.

They run the installed program from outside and may import nothing of `atm` but the target server. To add one, write a
module with `main() -> int` (0 when every bar holds) and name it in `__main__.py`. Start reading with measure.py.
"""
