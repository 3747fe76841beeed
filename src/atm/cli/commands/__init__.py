"""One module per verb of `atm`, each with a function `command` whose parameters are the command's options.

A module here says what the command does and in which order; parsing, running and drawing live elsewhere. `main.py`
imports the one that is asked for, and no other.
"""
