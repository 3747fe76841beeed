"""`atm schema`: print the JSON Schema of the spec, for completion in editors."""

from __future__ import annotations

from atm.cli.options import TextOutputOptions
from atm.models.exit_code import ExitCode


def command(output: TextOutputOptions) -> int:
    """Print the JSON Schema of the spec, for editors.

    Save it next to your specs and reference it in their first line: `# yaml-language-server: $schema=spec.schema.json`.
    """
    from atm.models.schema import spec_json_schema

    output.document(spec_json_schema())
    return ExitCode.PASSED
