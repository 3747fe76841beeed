"""Turn a Python file into a spec: its scenarios are those that it declares, with the settings that it makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from atm.code.module import CodeModule, load
from atm.errors import DataError, SpecError
from atm.models.fields import Path as FieldPath
from atm.plan.document import SpecDocument


def read_code_spec(file: str) -> SpecDocument:
    """Load a Python file as a spec. Raises SpecError with file, line and remedy."""
    path = Path(file)
    try:
        module = load(path)
    except DataError as error:
        raise SpecError(error.problems) from error.__cause__
    return document_of(module)


def document_of(module: CodeModule) -> SpecDocument:
    """Return the spec of a file that was loaded. Raises SpecError for a file without a scenario."""
    name = module.path.name
    places: dict[FieldPath, str] = {}
    scenarios: dict[str, Any] = {}
    for scenario in module.scenarios.values():
        scenarios[scenario.name] = {"code": f"{name}:{scenario.name}", **scenario.settings}
        places["scenarios", scenario.name] = f"{name}:{module.line(scenario.name)}"
    data: dict[str, Any] = {"name": module.path.stem, **module.settings}
    if scenarios:
        data["scenarios"] = {**scenarios, **data.get("scenarios", {})}
    elif not data.get("scenarios"):
        from atm.errors import Problem

        hint = "Decorate a coroutine function with `@atm.scenario`: `async def checkout(user): …`"
        raise SpecError(Problem("the file declares no scenario", "no_scenario", place=name, hint=hint))
    return SpecDocument(data, places, str(module.path))
