"""The decorators `task` and `tag`, the tasks of a class, and which of them the tags of a run select."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, overload

_WEIGHT = "locust_task_weight"
_TAGS = "locust_tag_set"

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


@overload
def task(weight: _Decorated) -> _Decorated: ...


@overload
def task(weight: int = 1) -> Callable[[_Decorated], _Decorated]: ...


def task(weight: Any = 1) -> Any:
    """Declare that a method or a nested class is a task: `@task`, or `@task(3)` with a weight."""

    def decorate(decorated: Any, share: int = 1) -> Any:
        if decorated.__name__ == "run":
            raise TypeError("a task cannot be called run, which is a method of users and task sets")
        setattr(decorated, _WEIGHT, share)
        return decorated

    if callable(weight):
        return decorate(weight)
    return lambda decorated: decorate(decorated, weight)


def tag(*tags: str) -> Callable[[_Decorated], _Decorated]:
    """Give a task, or all tasks of a task set, tags that `--tags` and `--exclude-tags` select."""
    if not tags or callable(tags[0]):
        raise ValueError('@tag needs the name of a tag: @tag("NAME")')

    def decorate(decorated: Any) -> Any:
        if hasattr(decorated, "tasks"):
            decorated.tasks = [decorate(inner) for inner in decorated.tasks]
        else:
            before: frozenset[str] = vars(decorated).get(_TAGS, frozenset())
            setattr(decorated, _TAGS, before | set(tags))
        return decorated

    return decorate


def tasks_of(bases: tuple[type, ...], attributes: Mapping[str, Any]) -> list[Any]:
    """Return the tasks of a class, each as often as its weight: inherited, of `tasks`, and decorated ones."""
    tasks: list[Any] = []
    for base in bases:
        tasks += getattr(base, "tasks", None) or []
    tasks += _weighted(attributes.get("tasks") or ())
    for value in attributes.values():
        tasks += _decorated(value)
    return tasks


def tasks_in_order(bases: tuple[type, ...], attributes: Mapping[str, Any]) -> list[Any]:
    """Return the tasks of a sequential class in the order of their declaration."""
    tasks: list[Any] = []
    for base in bases:
        tasks += getattr(base, "tasks", None) or []
    for name, value in attributes.items():
        tasks += _weighted(value or ()) if name == "tasks" else _decorated(value)
    return tasks


def select_tasks(holder: Any, tags: frozenset[str], excluded: frozenset[str]) -> None:
    """Remove the tasks that the tags of a run leave out from a class and the task sets in it."""
    _select(holder, tags, excluded, {})


def _select(holder: Any, tags: frozenset[str], excluded: frozenset[str], decided: dict[Any, bool]) -> None:
    for inner in holder.tasks:
        if inner in decided:
            continue
        if hasattr(inner, "tasks"):
            _select(inner, tags, excluded, decided)
            decided[inner] = bool(inner.tasks)
        else:
            own: frozenset[str] = getattr(inner, _TAGS, frozenset())
            decided[inner] = (not tags or bool(own & tags)) and not own & excluded
    holder.tasks = [inner for inner in holder.tasks if decided[inner]]


def _weighted(tasks: Mapping[Any, int] | Iterable[Any]) -> list[Any]:
    expanded: list[Any] = []
    for item in tasks.items() if isinstance(tasks, Mapping) else tasks:
        if isinstance(item, tuple):
            expanded += [item[0]] * item[1]
        else:
            expanded.append(item)
    return expanded


def _decorated(value: Any) -> list[Any]:
    return [value] * getattr(value, _WEIGHT, 0) if callable(value) else []
