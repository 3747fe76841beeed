"""Our `dataclass` against that of the standard library."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any, ClassVar

import pydantic
import pytest

from atm.dataclass import dataclass
from tools.repository import ROOT

FLAGS = [
    {"frozen": frozen, "slots": slots, "kw_only": kw_only}
    for frozen in (False, True)
    for slots in (False, True)
    for kw_only in (False, True)
]


class Plain:
    """The fields of the classes below, without a decorator."""

    shared: ClassVar[int] = 7
    number: int
    text: str = "abc"
    hidden: float = dataclasses.field(default=0.5, repr=False)
    apart: int = dataclasses.field(default=1, compare=False)
    items: list[int] = dataclasses.field(default_factory=list)
    named: str = dataclasses.field(default="n", kw_only=True)
    fixed: str = dataclasses.field(default="f", init=False)
    made: dict[str, int] = dataclasses.field(default_factory=dict, init=False)


def twins(**flags: bool) -> tuple[Any, Any]:
    """The class by the standard library and by us."""
    body = {
        "__doc__": "Docs.",
        **{name: value for name, value in vars(Plain).items() if name not in ("__dict__", "__weakref__")},
    }
    decorators: tuple[Callable[..., Any], ...] = (dataclasses.dataclass, dataclass)
    return tuple(decorate(**flags)(type("Sample", (), dict(body))) for decorate in decorators)


@pytest.mark.parametrize("flags", FLAGS, ids=str)
def test_a_class_is_as_that_of_the_standard_library(flags: dict[str, bool]) -> None:
    theirs, ours = twins(**flags)
    assert str(inspect.signature(ours)) == str(inspect.signature(theirs))
    assert ours.__match_args__ == theirs.__match_args__
    assert getattr(ours, "__slots__", None) == getattr(theirs, "__slots__", None)
    assert [field.name for field in dataclasses.fields(ours)] == [field.name for field in dataclasses.fields(theirs)]
    for arguments in ({"number": 1}, {"number": 2, "text": "é", "items": [1], "named": "x", "apart": 9, "hidden": 1.5}):
        one, other = theirs(**arguments), ours(**arguments)
        assert repr(other) == repr(one)
        assert dataclasses.asdict(other) == dataclasses.asdict(one)
        assert (other.fixed, other.made) == (one.fixed, one.made)
        changed = dataclasses.replace(other, number=5)
        assert (changed.number, changed.text) == (5, other.text)
        assert copy.copy(other) == other == copy.deepcopy(other)
        assert other == ours(**arguments)
        assert other == dataclasses.replace(other, apart=77)
        assert other != changed
        assert other != one
    for wrong in ({}, {"number": 1, "more": 2}, {"number": 1, "fixed": "no"}):
        for kind in (theirs, ours):
            with pytest.raises(TypeError):
                kind(**wrong)


@pytest.mark.parametrize("flags", FLAGS, ids=str)
def test_only_a_frozen_class_is_hashable_and_refuses_changes(flags: dict[str, bool]) -> None:
    theirs, ours = twins(**flags)
    if not flags["frozen"]:
        assert ours.__hash__ is theirs.__hash__ is None
        other = ours(number=1)
        other.number = 2
        assert other.number == 2
        return
    for kind in (theirs, ours):
        sample = kind(number=1)
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'number'"):
            sample.number = 2
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'number'"):
            del sample.number
        with pytest.raises(TypeError, match="unhashable"):
            hash(sample)  # a field is a list


@dataclass(frozen=True, slots=True)
class Point:
    """A class that pickles find."""

    x: int
    y: Point | None = None


@dataclass(slots=True)
class Base:
    """It has subclasses."""

    first: int
    second: int = 2

    def __post_init__(self) -> None:
        self.second += self.first


@dataclass(slots=True)
class Derived(Base):
    """With one more field."""

    third: int = 3


class Undecorated(Point):
    """No dataclass of its own."""


@dataclass(frozen=True, slots=True)
class Written:
    """It has methods of its own."""

    value: int

    def __repr__(self) -> str:
        return "written"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Written)

    def __hash__(self) -> int:
        return 5


def test_frozen_objects_are_pickled_and_matched() -> None:
    point = Point(1, Point(2))
    assert pickle.loads(pickle.dumps(point)) == point
    match point:
        case Point(x, Point(y)):
            assert (x, y) == (1, 2)
        case _:
            pytest.fail("it did not match")


def test_subclasses_use_the_methods_of_their_base() -> None:
    derived = Derived(1)
    assert (derived.first, derived.second, derived.third) == (1, 3, 3)
    assert derived != Base(1)
    assert repr(derived) == "Derived(first=1, second=3, third=3)"
    other = Undecorated(1)
    assert repr(other) == "Undecorated(x=1, y=None)"
    assert other == Undecorated(1)
    assert hash(other) == hash(Point(1)) != hash(Point(2))
    with pytest.raises(dataclasses.FrozenInstanceError):
        other.x = 2  # type: ignore[misc]


def test_methods_that_the_class_writes_are_kept() -> None:
    assert (repr(Written(1)), Written(1) == Written(2), hash(Written(3))) == ("written", True, 5)


def test_an_object_that_contains_itself_is_printed() -> None:
    base = Base(1)
    base.first = base  # type: ignore[assignment]
    assert repr(base) == "Base(first=..., second=3)"


def test_pydantic_reads_and_writes_it() -> None:
    adapter = pydantic.TypeAdapter(Point)
    point = adapter.validate_python({"x": "1", "y": {"x": 2}})
    assert point == Point(1, Point(2))
    assert adapter.dump_python(point) == {"x": 1, "y": {"x": 2, "y": None}}


def test_all_our_classes_use_it() -> None:
    for path in (ROOT / "src" / "atm").rglob("*.py"):
        if path.name != "dataclass.py":
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"from dataclasses import[^)\n]*[( ]dataclass\b|dataclasses\.dataclass\b", text), path


def test_a_method_is_compiled_when_it_is_first_called() -> None:
    code = """
import builtins
compiled = []
real = builtins.exec
builtins.exec = lambda text, *more: (compiled.append(text), real(text, *more))[1]
from atm.dataclass import dataclass

compiled.clear()

@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    "Docs."
    number: int = 1

print(len(compiled))
Sample(), Sample()
print(len(compiled))
Sample() == Sample(), {Sample(): 1}
print(len(compiled))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "1", "3"]
