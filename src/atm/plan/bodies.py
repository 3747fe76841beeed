"""Compile request bodies other than text and JSON."""

from __future__ import annotations

from atm.models.fields import Path
from atm.plan.template_parts import Encoding, LiteralPart, Template
from atm.plan.templates import Names, merged, percent_encoded


def form_value(names: Names, text: str, path: Path) -> Template:
    """Compile the value of a form field (application/x-www-form-urlencoded, a space as %20)."""
    return merged(
        LiteralPart(percent_encoded(piece.text)) if piece.written else names.part(piece, Encoding.PERCENT)
        for piece in names.pieces(text, path)
    )
