"""Contracts for import-linter: heavy dependencies are imported in listed packages only, and files without cycles."""

from __future__ import annotations

from collections.abc import Mapping

import grimp
from importlinter import Contract, ContractCheck, fields, output


class HomesContract(Contract):
    """Options: `homes`, a list of `dependency: atm.home, atm.other_home`; without a home, all imports are rejected.

    The built-in contracts require that every named package exists and is imported. This one accepts missing packages
    and takes all dependencies in one table.
    """

    type_name = "homes"

    homes = fields.ListField(subfield=fields.StringField())

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:
        del verbose  # the graph is small, so there is no progress to report
        strays: list[str] = []
        for line in self.homes:  # type: ignore[attr-defined]
            dependency, _, homes = line.partition(":")
            allowed = [home.strip() for home in homes.split(",")]
            if dependency not in graph.modules:
                continue
            for importer in sorted(graph.find_modules_that_directly_import(dependency)):
                if any(importer == home or importer.startswith(f"{home}.") for home in allowed):
                    continue
                details = graph.get_import_details(importer=importer, imported=dependency)
                places = ", ".join(str(detail["line_number"]) for detail in details)
                strays.append(
                    f"{importer} imports {dependency} (line {places}); its home is {homes.strip() or 'nowhere'}"
                )
        return ContractCheck(kept=not strays, metadata={"strays": strays})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for stray in check.metadata["strays"]:
            output.print_error(f"- {stray}", bold=False)
        output.new_line()


class AcyclicContract(Contract):
    """Options: `package`, below which files must not import each other in a cycle, TYPE_CHECKING imports included.

    A package counts as its `__init__` file. The graph of the other contracts excludes TYPE_CHECKING imports, so this
    contract builds another one.
    """

    type_name = "acyclic_files"

    package = fields.StringField()

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:
        del graph, verbose
        package: str = self.package  # type: ignore[assignment]  # a field holds its value on an instance
        whole = grimp.build_graph(package.partition(".")[0], exclude_type_checking_imports=False)
        modules = {module for module in whole.modules if module == package or module.startswith(f"{package}.")}
        imports = {module: whole.find_modules_directly_imported_by(module) & modules for module in modules}
        return ContractCheck(kept=not (circles := _circles(imports)), metadata={"circles": circles})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for circle in check.metadata["circles"]:
            output.print_error(f"- import each other in a circle: {', '.join(circle)}", bold=False)
        output.new_line()


def _circles(imports: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that reach each other."""
    reached = {module: _reached_from(module, imports) for module in imports}
    groups = {
        frozenset(other for other in reached[module] if module in reached[other])
        for module in imports
        if module in reached[module]
    }
    return sorted(sorted(group) for group in groups)


def _reached_from(module: str, imports: Mapping[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = list(imports[module])
    while waiting:
        following = waiting.pop()
        if following not in reached:
            reached.add(following)
            waiting.extend(imports[following])
    return reached
