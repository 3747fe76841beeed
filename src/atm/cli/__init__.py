"""The terminal product: `atm run` and its siblings, the live view, the report, the messages.

May import everything below it; the only room that knows typer. Start with `main.py` (how a command is found), then
`commands/run.py`, then `live.py` and `report/` (what people see). A command's module is imported only when it is
used.
"""
