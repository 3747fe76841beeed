"""Turn a Python file into a spec: its scenarios are those that it declares, with the settings that it makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from atm.code.module import CodeModule, load
from atm.errors import DataError, SpecError
from atm.models.fields import Path as FieldPath
from atm.plan.document import SpecDocument
from atm.plan.overrides import Overrides, with_overrides

_NO_FLAGS = Overrides()


def read_code_spec(file: str, overrides: Overrides = _NO_FLAGS) -> SpecDocument:
    """Load a Python file as a spec, with flags. Raises SpecError with file, line and remedy."""
    path = Path(file)
    try:
        module = load(path)
    except DataError as error:
        raise SpecError(error.problems) from error.__cause__
    if module.locustfile is None:
        return with_overrides(document_of(module), overrides)
    # Imported here because other files do not need it.
    from atm.code.locust.spec import locust_spec

    name = module.path.name
    data, others = locust_spec(module.locustfile, name, overrides)
    places: dict[FieldPath, str] = {
        ("scenarios", scenario): f"{name}:{module.locustfile.lines.get(scenario, 1)}" for scenario in data["scenarios"]
    }
    return with_overrides(SpecDocument({"name": module.path.stem, **data}, places, str(module.path)), others)


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
