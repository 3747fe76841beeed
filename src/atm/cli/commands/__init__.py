"""One module per command of `atm`, each with a function `command` whose parameters are the command's options.

These modules hold the sequence of steps only; parsing, execution and rendering are in `atm.cli`. `main.py` imports only
the module of the command that runs.
"""
