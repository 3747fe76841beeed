"""Compile texts of a request, with each literal credential in them as a slot, because a plan holds no secret."""

from __future__ import annotations

from dataclasses import field, replace

from atm.dataclass import dataclass
from atm.models.fields import Path, path_text
from atm.plan.spec_mask import SCHEMES, secret_spans
from atm.plan.template_parts import Encoding, LiteralPart, Part, SecretPart, Template, ValuePart
from atm.plan.templates import Names, merged


@dataclass(slots=True)
class HiddenText:
    """Compiles texts in turn, collecting the credentials in them."""

    names: Names
    secrets: dict[str, str] = field(default_factory=dict)
    """Slot to value."""

    def hidden(self, template: Template, path: Path) -> Template:
        """Turn literal credentials into slots, because a plan holds no secret."""
        parts: list[Part] = []
        for part in template:
            if isinstance(part, LiteralPart) and part.text.strip().lower() not in SCHEMES:
                parts.append(self.slot(part.text, path))
            else:
                parts.append(replace(part, is_secret=True) if isinstance(part, ValuePart) else part)
        return tuple(parts)

    def text(self, text: str, path: Path, encoding: Encoding = Encoding.RAW) -> Template:
        """Split a text into parts, each credential found in it as a slot."""
        before = len(self.names.findings)
        whole = self.names.template(text, path, encoding)
        spans = secret_spans(text)
        if not spans or len(self.names.findings) > before:
            return whole
        parts: list[Part] = []
        position = 0
        for start, end in spans:
            parts += self.names.template(text[position:start], path, encoding)
            parts += self.hidden(self.names.template(text[start:end], path, encoding), path)
            position = end
        return merged([*parts, *self.names.template(text[position:], path, encoding)])

    def slot(self, value: str, path: Path) -> SecretPart:
        """Create a unique slot for a literal value: `headers.Cookie`, `headers.Cookie#2`, …"""
        slot = place = path_text(path)
        number = 1
        while self.secrets.get(slot, value) != value:
            number += 1
            slot = f"{place}#{number}"
        self.secrets[slot] = value
        return SecretPart(slot)
