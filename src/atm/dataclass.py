"""`dataclass` of the standard library, whose methods are compiled when they are first called.

The standard library compiles up to six methods of each dataclass while its module is imported, which was almost half of
the CPU time from the start of `atm run` to its first request; most of them are never called.
"""

from __future__ import annotations

import dataclasses
import reprlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls=None, /, *, frozen=False, slots=False, kw_only=False):
        """As `dataclasses.dataclass`; fields may not be of type InitVar."""

        def decorate(plain):
            return _completed(plain, frozen=frozen, slots=slots, kw_only=kw_only)

        return decorate if cls is None else decorate(cls)


__all__ = ["dataclass"]


class _Factory:
    """The default that the signature shows for a field with a factory."""

    def __repr__(self) -> str:
        return "<factory>"


_FACTORY = _Factory()


class _Late:
    """A method of a class that is compiled when it is first looked up, and then takes the place of this descriptor."""

    def __init__(self, owner: type, name: str, compiled: Callable[[type], Any]) -> None:
        self._owner = owner
        self._name = name
        self._compiled = compiled

    def __get__(self, instance: object, kind: type | None = None) -> Any:
        method = self._compiled(self._owner)
        setattr(self._owner, self._name, method)
        return method.__get__(instance, kind)


def _completed(plain: Any, *, frozen: bool, slots: bool, kw_only: bool) -> Any:
    written = vars(plain)
    # Python sets __hash__ to None in a class with an __eq__ of its own.
    has_hash = "__hash__" in written and not (written["__hash__"] is None and "__eq__" in written)
    cls: Any = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)(plain)
    _add(cls, "__init__", _Late(cls, "__init__", _init_of_frozen if frozen else _init))
    _add(cls, "__repr__", _repr)
    _add(cls, "__eq__", _Late(cls, "__eq__", _eq))
    if not has_hash:
        cls.__hash__ = _Late(cls, "__hash__", _hash) if frozen else None
    if frozen:
        _freeze(cls, slots=slots)
    return cls


def _add(cls: type, name: str, method: object) -> None:
    if name not in vars(cls):
        setattr(cls, name, method)


@reprlib.recursive_repr()
def _repr(self: Any) -> str:
    shown = (field.name for field in dataclasses.fields(self) if field.repr)
    return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"


def _freeze(cls: Any, *, slots: bool) -> None:
    names = frozenset(field.name for field in dataclasses.fields(cls))

    def __setattr__(self: object, name: str, value: object) -> None:  # noqa: N807
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def __delattr__(self: object, name: str) -> None:  # noqa: N807
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    for method in (__setattr__, __delattr__):
        if method.__name__ in vars(cls):
            raise TypeError(f"Cannot overwrite attribute {method.__name__} in class {cls.__name__}")
        setattr(cls, method.__name__, method)
    if slots:
        _add(cls, "__getstate__", _state)
        _add(cls, "__setstate__", _set_state)


def _state(self: Any) -> list[Any]:
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)


def _init(cls: type) -> Any:
    return _compiled_init(cls, "self.{name} = {value}")


def _init_of_frozen(cls: type) -> Any:
    return _compiled_init(cls, "_set_of_object(self, {name!r}, {value})")


def _compiled_init(cls: Any, assignment: str) -> Any:
    constants: dict[str, Any] = {"_set_of_object": object.__setattr__, "_FACTORY": _FACTORY}
    parameters: dict[bool, list[str]] = {False: [], True: []}
    lines = []
    for field in dataclasses.fields(cls):
        name, value = field.name, field.name
        default = f"_default_{name}"
        if field.default_factory is not dataclasses.MISSING:
            constants[default] = field.default_factory
            value = f"{default}() if {name} is _FACTORY else {name}" if field.init else f"{default}()"
        elif field.default is not dataclasses.MISSING:
            constants[default] = field.default
            if not field.init:
                value = default if "__slots__" in vars(cls) else ""
        elif not field.init:
            value = ""
        if value:
            lines.append(assignment.format(name=name, value=value))
        if field.init:
            shown = "_FACTORY" if field.default_factory is not dataclasses.MISSING else default
            parameters[bool(field.kw_only)].append(f"{name}={shown}" if default in constants else name)
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    keywords = ["*", *parameters[True]] if parameters[True] else []
    init = _function(cls, "__init__", ["self", *parameters[False], *keywords], lines or ["pass"], constants)
    init.__annotations__ = {field.name: field.type for field in dataclasses.fields(cls) if field.init}
    init.__annotations__["return"] = None
    return init


def _eq(cls: Any) -> Any:
    names = [field.name for field in dataclasses.fields(cls) if field.compare]
    lines = [
        "if other.__class__ is self.__class__:",
        f" return {_values('self', names)} == {_values('other', names)}",
        "return NotImplemented",
    ]
    return _function(cls, "__eq__", ["self", "other"], lines, {})


def _hash(cls: Any) -> Any:
    names = [field.name for field in dataclasses.fields(cls) if (field.compare if field.hash is None else field.hash)]
    return _function(cls, "__hash__", ["self"], [f"return hash({_values('self', names)})"], {})


def _values(instance: str, names: list[str]) -> str:
    return f"({''.join(f'{instance}.{name},' for name in names)})"


def _function(cls: type, name: str, parameters: list[str], lines: list[str], constants: dict[str, Any]) -> Any:
    body = "\n".join(f"  {line}" for line in lines)
    text = f"def make({', '.join(constants)}):\n def {name}({', '.join(parameters)}):\n{body}\n return {name}"
    made: dict[str, Any] = {}
    exec(text, vars(sys.modules[cls.__module__]), made)
    function = made["make"](**constants)
    function.__qualname__ = f"{cls.__qualname__}.{name}"
    return function
