"""The command line: `atm run` and the other commands, the live view, the report and error messages.

May import everything below it, and is the only package that imports typer. Start with `main.py` (command lookup), then
`commands/run.py`, then `live_view.py` and `report/` (output). A command's module is imported only when it runs.
"""
