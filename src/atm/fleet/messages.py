"""The messages to a worker and its answers, and their bytes: a line of JSON, then the binary parts that it announces.

A worker answers each message with one answer, in order. Secrets travel in messages of their own, never with the plan.
A worker can have several loads, called its incarnations: its share of the plan is number 0, parts of the shares of lost
workers follow. A second is known by worker, incarnation and number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias

from atm.dataclass import dataclass
from atm.engine.base import Command, EngineReport
from atm.errors import Problem
from atm.plan.plan_decoder import decode as decode_dataclass


class WorkerState(StrEnum):
    """What a worker is doing."""

    IDLE = "idle"
    READY = "ready"
    """It has a plan that its engine can run."""
    RUNNING = "running"
    """Started; before the start of the run, too."""
    ENDED = "ended"
    """The engine has ended, with a report or a failure."""


@dataclass(frozen=True, slots=True)
class Describe:
    """Answered with a `Description`."""


@dataclass(frozen=True, slots=True)
class ReadClock:
    """Answered with a `ClockReading`."""


@dataclass(frozen=True, slots=True)
class CheckReach:
    """Connect to a target and disconnect, without a request; answered with a `Reach`."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Prepare:
    """Check that the engine runs the plan, up to files and capabilities, and keep both for the start."""

    plan: bytes
    """`LoadPlan.to_bytes`, with the worker's share; it names the engine."""
    incarnation: int = 0


@dataclass(frozen=True, slots=True)
class SetSecrets:
    """The values of all secret slots of the plan; sent before `Start`."""

    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Start:
    """Start the engine; the time zero of the run is `at_ns` of the worker's monotonic clock."""

    at_ns: int
    incarnation: int = 0


@dataclass(frozen=True, slots=True)
class Pull:
    """Answered with `Pulled`: the seconds after `acknowledged`. The worker forgets those up to it."""

    acknowledged: tuple[int, ...]
    """By incarnation, the number of the last second received; 0 for none."""


@dataclass(frozen=True, slots=True)
class SendCommand:
    """Stop or cancel the engine. Before the start, the command is kept for it."""

    command: Command


@dataclass(frozen=True, slots=True)
class SetSecret:
    """Use a renewed value from now on."""

    slot: str
    value: str


@dataclass(frozen=True, slots=True)
class End:
    """End the worker process; an engine that still runs is cancelled."""


@dataclass(frozen=True, slots=True)
class Done:
    """The message was obeyed."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The message could not be obeyed; the worker is as before."""

    what: str
    code: str
    path: str = ""
    place: str = ""
    hint: str = ""

    @property
    def problem(self) -> Problem:
        return Problem(self.what, self.code, self.path, self.place, self.hint)

    @classmethod
    def of(cls, problem: Problem) -> Refused:
        """Return the refusal for a problem."""
        return cls(problem.what, problem.code, problem.path, problem.place, problem.hint)


@dataclass(frozen=True, slots=True)
class Description:
    """What a worker is, compared before a run begins."""

    version: str
    """Of atm."""
    plan_format: int
    engines: Mapping[str, str]
    """Name and version of each installed engine."""
    python: str
    host: str
    boot_id: str
    """Of its system; processes with the same one share their monotonic clock. Empty if unknown."""
    pid: int
    cores: int
    """Cores that its process may use."""
    file_descriptors: int
    """The limit of its process; 0 if unknown."""


@dataclass(frozen=True, slots=True)
class ClockReading:
    """The worker's monotonic clock."""

    now_ns: int


@dataclass(frozen=True, slots=True)
class Reach:
    """How a worker reaches a target: by which address and in what time, or why not."""

    address: str
    connect_ns: int
    problem: str


@dataclass(frozen=True, slots=True)
class PulledLoad:
    """What a worker has of one load. The report or the failure comes with the last seconds."""

    incarnation: int
    state: WorkerState
    first: int
    """The number of the first of `seconds`, counted from 1 without gaps; meaningless without any."""
    seconds: tuple[bytes, ...]
    """`Interval.to_bytes` of complete seconds, and at the end of the partial last one."""
    report: EngineReport | None = None
    failure: Refused | None = None


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a worker has for its controller."""

    loads: tuple[PulledLoad, ...]


Message: TypeAlias = (
    Describe | ReadClock | CheckReach | Prepare | SetSecrets | Start | Pull | SendCommand | SetSecret | End
)
Answer: TypeAlias = Done | Refused | Description | ClockReading | Reach | Pulled

_MESSAGES: Mapping[str, type[Message]] = {
    "describe": Describe,
    "clock": ReadClock,
    "check_reach": CheckReach,
    "prepare": Prepare,
    "secrets": SetSecrets,
    "start": Start,
    "pull": Pull,
    "command": SendCommand,
    "set_secret": SetSecret,
    "end": End,
}
_ANSWERS: Mapping[str, type[Answer]] = {
    "done": Done,
    "refused": Refused,
    "description": Description,
    "clock": ClockReading,
    "reach": Reach,
    "pulled": Pulled,
}
_NAMES: Mapping[type, str] = {kind: name for kinds in (_MESSAGES, _ANSWERS) for name, kind in kinds.items()}


def encode(message: Message | Answer, lease_ns: int = 0) -> bytes:
    """Return the bytes of a message or an answer; for `lease_ns` see `lease_of`."""
    blobs: list[bytes] = []
    header = {"kind": _NAMES[type(message)], "body": _plain(message, blobs), "lengths": [len(blob) for blob in blobs]}
    if lease_ns:
        header["lease_ns"] = lease_ns
    return b"".join((json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode(), b"\n", *blobs))


def decode_message(data: bytes) -> Message:
    """Read the output of `encode` for a message. Raises ValueError on anything else."""
    message: Message = _decoded(_MESSAGES, data)
    return message


def decode_answer(data: bytes) -> Answer:
    """Read the output of `encode` for an answer. Raises ValueError on anything else."""
    answer: Answer = _decoded(_ANSWERS, data)
    return answer


def lease_of(data: bytes) -> int:
    """Return when a worker must end its load unless another message comes, in its monotonic clock; 0 if not said."""
    try:
        return int(json.loads(data.partition(b"\n")[0]).get("lease_ns", 0))
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        return 0


def _plain(value: Any, blobs: list[bytes]) -> Any:
    """Return JSON data; bytes are moved to `blobs`, and their index takes their place."""
    if isinstance(value, bytes):
        blobs.append(value)
        return len(blobs) - 1
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(item, blobs) for item in value]
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name), blobs) for field in fields(value)}
    return dict(value) if isinstance(value, Mapping) else value


def _decoded(kinds: Mapping[str, type[Any]], data: bytes) -> Any:
    head, separator, rest = data.partition(b"\n")
    try:
        header = json.loads(head)
        kind, body = kinds[header["kind"]], header["body"]
        blobs: list[bytes] = []
        position = 0
        for length in header["lengths"]:
            blobs.append(rest[position : position + length])
            position += length
        if not separator or position != len(rest):
            raise ValueError("binary parts of another length than announced")
        if kind is Prepare:
            body["plan"] = blobs[body["plan"]]
        elif kind is Pulled:
            for load in body["loads"]:
                load["seconds"] = [blobs[index] for index in load["seconds"]]
                if report := load["report"]:
                    report["started_at"] = datetime.fromisoformat(report["started_at"])
        return decode_dataclass(kind, body)
    except (KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ValueError(f"not a message of this version: {error!r}") from error
