"""HTML and SVG builders. Everything that is not `Markup` is escaped, so data from a target cannot become markup."""

from __future__ import annotations

from html import escape

from atm.models.sanitize import printable

_VOID = frozenset({"meta", "br", "line", "path", "rect", "circle", "polyline", "col"})


class Markup(str):
    """Text that is already markup."""

    __slots__ = ()


Child = str | int | float | None


def markup(*children: Child) -> Markup:
    """Concatenate children; plain text is escaped, None is skipped."""
    return Markup("".join(_rendered(child) for child in children if child is not None))


def _rendered(child: Child) -> str:
    if isinstance(child, Markup):
        return child
    return escape(printable(str(child), layout=True), quote=True)


def tag(name: str, /, *children: Child, **attributes: Child) -> Markup:
    """Build an element. Attribute names lose a trailing underscore, others become hyphens; None omits one."""
    rendered = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_rendered(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID and not children:
        return Markup(f"<{name}{rendered}/>" if name not in ("meta", "br", "col") else f"<{name}{rendered}>")
    return Markup(f"<{name}{rendered}>{markup(*children)}</{name}>")
