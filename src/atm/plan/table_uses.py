"""Which tables of test data the parts of a plan refer to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from atm.plan.load_plan import Flow
from atm.plan.template_parts import DataSource


def tables_of(flow: Flow) -> frozenset[int]:
    """Return the indices of the tables that a flow uses."""
    return frozenset(_tables_in(flow)) | frozenset(flow.code.tables if flow.code else flow.hook_tables)


def _tables_in(item: Any) -> Iterator[int]:
    """Yield the index of each table that a part of a plan refers to."""
    if isinstance(item, DataSource):
        yield item.table
    elif isinstance(item, tuple):
        for part in item:
            yield from _tables_in(part)
    elif is_dataclass(item):
        for field in fields(item):
            yield from _tables_in(getattr(item, field.name))
