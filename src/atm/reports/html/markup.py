"""HTML and SVG as values: whatever is not `Markup` is escaped, so nothing that a target said can become a tag."""

from __future__ import annotations

from html import escape

from atm.models.sanitize import printable

_VOID = frozenset({"meta", "br", "line", "path", "rect", "circle", "polyline", "col"})


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | int | float | None


def markup(*children: Child) -> Markup:
    """Children one after the other; plain text is escaped, None is nothing."""
    return Markup("".join(_rendered(child) for child in children if child is not None))


def _rendered(child: Child) -> str:
    if isinstance(child, Markup):
        return child
    return escape(printable(str(child), layout=True), quote=True)


def tag(name: str, /, *children: Child, **attributes: Child) -> Markup:
    """An element. Attribute names lose a trailing underscore, and inner ones become hyphens; None leaves one out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_rendered(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID and not children:
        return Markup(f"<{name}{written}/>" if name not in ("meta", "br", "col") else f"<{name}{written}>")
    return Markup(f"<{name}{written}>{markup(*children)}</{name}>")
