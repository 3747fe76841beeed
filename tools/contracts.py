"""A contract for import-linter: every heavy dependency has its home, and nothing else may import it.

The contracts that come with import-linter demand that every package they name exists and is imported; this one may be
written down before its room is built, and takes all dependencies in one table.
"""

from __future__ import annotations

import grimp
from importlinter import Contract, ContractCheck, fields, output


class HomesContract(Contract):
    """Options: `homes`, a list of `dependency: atm.home, atm.other_home`; without a home, all imports are refused."""

    type_name = "homes"

    homes = fields.ListField(subfield=fields.StringField())

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:
        del verbose  # the graph is small, there is no progress to tell
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
