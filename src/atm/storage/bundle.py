"""Bundles: export a run to one file (spec, environment, result, intervals, events, samples), and import it again.

Gzipped JSON Lines, so that `zcat` shows it and a large run is written in little memory:

    {"format": "atm-run", "version": 1}
    {"run": …}                     the summary, notes, spec (secrets masked) and failure reasons
    {"result": …}                  null if nothing was measured; contains environment and samples
    {"interval": …}                one per second, as reported by the engine
    {"event": …}                   one per stored event
    {"sample": …}                  only for a run without result
    {"end": {"intervals": 60, "events": 61, "samples": 0}}

The last line shows that the file is complete. A bundle contains no credentials: the spec is masked, and the sealed
credentials are not exported.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import IO, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from atm.dataclass import dataclass
from atm.errors import BundleError, ConflictError, Problem
from atm.metrics.interval import Interval
from atm.models.bounded_json import JsonBoundsError, load_bounded
from atm.models.events import EVENTS
from atm.models.failure_reasons import failure_reasons
from atm.models.outcome import RunOutcome
from atm.models.run import RunResult
from atm.plan.spec_mask import masked_spec
from atm.storage.base import RunSeries, StorageInterface
from atm.storage.disk_format import EVENT, DiskFormat
from atm.storage.errors import run_not_finished
from atm.storage.records import (
    FINAL,
    Run,
    RunEvent,
    RunSource,
    RunSummary,
    checked_id,
    checked_tags,
    endpoint_count_of,
)
from atm.storage.result import StoredSample, dumps, stored_result, stored_sample

FORMAT = "atm-run"
VERSION = 1
MAXIMUM_BYTES = 4 * 1024**3
"""The decompressed size limit, against decompression bombs."""


@dataclass(frozen=True, slots=True)
class BundleLimits:
    """Limits for reading a bundle, after decompression."""

    line_bytes: int = 256 * 1024**2
    samples: int = 100_000
    seconds: int = 10_000_000
    """The last second of a run, and with it the number of its intervals and events."""


FROM_OTHERS = BundleLimits(line_bytes=4 * 1024**2, samples=10_000, seconds=2_000_000)
"""For imports on a server: a JSON line takes eight times its size in memory, and parsing it blocks the interpreter."""
_LARGEST = 2**63 - 1
_CLOCK_SKEW = timedelta(days=1)
"""How far the clock of another installation may be ahead."""
_MOST_SPEC_BYTES = 1024**2
_EVENTS_PER_PAGE = 500
_MINUTES_PER_PAGE = 5
_LINES_PER_PART = 50

_SUMMARY = DiskFormat(RunSummary)
_STRINGS = TypeAdapter(tuple[str, ...])
_STORED_KINDS = frozenset({"started", "interval", "sample", "iteration", "finished"})
_Value = TypeVar("_Value")


async def export_run(storage: StorageInterface, run_id: str, file: IO[bytes]) -> None:
    """Write the bundle of an ended run. Raises NotFoundError, ConflictError `run_not_finished`."""
    run = await storage.runs.get(run_id)
    if run.status not in FINAL:
        raise run_not_finished(run_id)
    result = await storage.runs.result(run_id)
    samples: list[StoredSample] = []
    if result is None:
        samples += [*await storage.series.samples(run_id), *await storage.series.sampled_iterations(run_id)]
    minutes = await storage.series.generator(run_id, 60)
    intervals = events = 0
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, mtime=0) as packed:

        def write(lines: Iterable[bytes]) -> None:
            packed.writelines(line + b"\n" for line in lines)

        head = {"format": FORMAT, "version": VERSION}
        write([_bytes(head), _bytes({"run": _run_document(run)}), _line("result", _result_bytes(result))])
        # A few minutes at a time, outside the event loop: two hours of twenty endpoints have many histograms.
        for first in range(0, len(minutes), _MINUTES_PER_PAGE):
            some_minutes = minutes[first : first + _MINUTES_PER_PAGE]
            start, end = some_minutes[0].start, some_minutes[-1].start + 60
            seconds = await storage.series.intervals(run_id, start, end)
            await asyncio.to_thread(write, (_line("interval", interval.to_bytes()) for interval in seconds))
            intervals += len(seconds)
        while batch := await storage.series.events(run_id, events, _EVENTS_PER_PAGE):
            write(_bytes({"event": EVENT.document(event)}) for event in batch)
            events += len(batch)
        write(_line("sample", sample.model_dump_json().encode()) for sample in samples)
        write([_bytes({"end": {"intervals": intervals, "events": events, "samples": len(samples)}})])


def _bytes(document: Mapping[str, Any]) -> bytes:
    return dumps(document).encode()


def _line(kind: str, document: bytes) -> bytes:
    return b'{"' + kind.encode() + b'":' + document + b"}"


def _result_bytes(result: RunResult | None) -> bytes:
    return result.model_dump_json().encode() if result is not None else b"null"


async def import_run(
    storage: StorageInterface,
    file: IO[bytes],
    *,
    new_id: str | None = None,
    place: str = "",
    limits: BundleLimits | None = None,
) -> Run:
    """Store the run of a bundle atomically, with its own id or a new one.

    The bundle is read twice, to validate all of it before anything is stored. `place` names the file in messages.
    Raises BundleError (with the line), ConflictError `run_exists`, `invalid_id`.
    """
    start = file.tell()
    await asyncio.to_thread(_check, file, place, limits)
    file.seek(start)
    run, result, history = await asyncio.to_thread(read_bundle, file, place, limits)
    if new_id is not None:
        run = replace(run, summary=replace(run.summary, id=new_id))
        result = result and result.model_copy(update={"run": result.run.model_copy(update={"id": new_id})})
    await storage.runs.restore(run, result, history)
    return await storage.runs.get(run.id)


def _check(file: IO[bytes], place: str, limits: BundleLimits | None) -> None:
    *_, history = read_bundle(file, place, limits)
    for _series in history:
        pass


def read_bundle(
    file: IO[bytes], place: str = "", limits: BundleLimits | None = None
) -> tuple[Run, RunResult | None, Iterator[RunSeries]]:
    """Read and validate a bundle: run and result at once, the history lazily while it is iterated.

    Both raise BundleError; the history also at its end, when the bundle is incomplete.
    """
    limits = limits or BundleLimits()
    lines = _lines(file, place, limits.line_bytes)
    head = _part(next(lines, None), None, place)
    if head.get("format") != FORMAT:
        raise _invalid("this is not the bundle of a run", place, "bundles are written by `atm export`")
    if head.get("version") != VERSION:
        what = f"the bundle has version {head.get('version')}; this version reads {VERSION}"
        raise _invalid(what, place, "import it with the version that wrote it, or a newer one")
    run = _parsed(_run, _part(next(lines, None), "run", place), f"{place}:2")
    result_document = _part(next(lines, None), "result", place)["result"]
    result = None if result_document is None else _parsed(stored_result, result_document, f"{place}:3")
    if result is not None and result.run.id != run.id:
        raise _invalid("the result belongs to another run", f"{place}:3")
    if run.status not in FINAL:
        raise _invalid(f"the run has not ended: it is {run.status}", f"{place}:2")
    if result is not None:
        # Earlier versions may have written a summary that disagrees with the result.
        passed = result.verdict.passed
        reasons = run.failure_reasons or failure_reasons(result)
        run = replace(run, summary=replace(run.summary, passed=passed), failure_reasons=reasons)
    return run, result, _history(lines, place, limits)


class _Part:
    """The next part of a history while it is read."""

    def __init__(self) -> None:
        self.intervals: list[Interval] = []
        self.events: list[RunEvent] = []
        self.samples: list[StoredSample] = []

    def __len__(self) -> int:
        return len(self.intervals) + len(self.events) + len(self.samples)

    def series(self) -> RunSeries:
        return RunSeries(tuple(self.intervals), tuple(self.events), tuple(self.samples))


def _history(lines: Iterator[tuple[int, Any]], place: str, limits: BundleLimits) -> Iterator[RunSeries]:
    counted = {"intervals": 0, "events": 0, "samples": 0}
    last_second = -1
    part = _Part()
    end: Mapping[str, Any] | None = None
    for number, document in lines:
        where = f"{place}:{number}"
        if end is not None or not isinstance(document, dict) or len(document) != 1:
            raise _invalid("unexpected line", where)
        [(kind, content)] = document.items()
        if kind == "interval":
            interval = _parsed(_interval, content, where)
            if interval.second > limits.seconds:
                raise _invalid(f"the run has more than {limits.seconds:,} seconds", where)
            if interval.second <= last_second:
                raise _invalid("the intervals are not in order", where)
            last_second = interval.second
            part.intervals.append(interval)
            counted["intervals"] += 1
        elif kind == "event":
            event = _parsed(_event, content, where)
            counted["events"] += 1
            if event.sequence != counted["events"]:
                raise _invalid("the events are not numbered from 1", where)
            part.events.append(event)
        elif kind == "sample":
            part.samples.append(_parsed(stored_sample, content, where))
            counted["samples"] += 1
            if counted["samples"] > limits.samples:
                raise _invalid(f"the run has more than {limits.samples:,} samples", where)
        elif kind == "end" and isinstance(content, dict):
            end = content
        else:
            raise _invalid(f"unknown kind of line {kind!r}", where)
        if len(part) == _LINES_PER_PART:
            yield part.series()
            part = _Part()
    if end != counted:
        raise _invalid("the bundle is incomplete: its end is missing or does not match", place, "export the run again")
    yield part.series()


def _run_document(run: Run) -> dict[str, Any]:
    return {
        "summary": _SUMMARY.document(run.summary),
        "notes": run.notes,
        "spec": run.spec,
        "failure_reasons": run.failure_reasons,
    }


def _run(document: Any) -> Run:
    content = document["run"]
    summary = replace(_SUMMARY.record(content["summary"]), source=RunSource.IMPORT)
    checked_id(summary.id)
    _check_summary(summary)
    spec, notes = content["spec"], content["notes"]
    if not isinstance(spec, dict) or not isinstance(notes, str):
        raise TypeError("invalid spec or notes")
    if len(notes) > 20_000:
        raise ValueError("the notes have more than 20,000 characters")
    _check_spec(spec)
    reasons = _STRINGS.validate_python(content["failure_reasons"])
    if len(reasons) > 10_000 or any(len(reason) > 10_000 for reason in reasons):
        raise ValueError("too many or too long failure reasons")
    summary = replace(summary, endpoint_count=endpoint_count_of(spec))
    # Masked again, in case another installation stored credentials unmasked.
    return Run(summary, notes, masked_spec(spec), reasons, None, None, None)


def _check_summary(summary: RunSummary) -> None:
    """Apply the limits of the API for new runs. Raises ValueError, ConflictError."""
    for text, most in ((summary.name, 256), (summary.url, 8_192), (summary.method, 64), (summary.engine, 64)):
        if len(text) > most:
            raise ValueError(f"a text of the summary has more than {most:,} characters")
    if not summary.name:
        raise ValueError("the name is empty")
    if len(summary.error_message or "") > 20_000:
        raise ValueError("the error message has more than 20,000 characters")
    if len(summary.tags) > 50:
        raise ValueError("the run has more than 50 tags")
    if checked_tags(summary.tags) != tuple(summary.tags):
        raise ValueError("the tags are not sorted and trimmed")
    for moment in (summary.created_at, summary.started_at, summary.completed_at):
        _check_moment(moment)


def _check_moment(moment: datetime | None) -> None:
    if moment is None:
        return
    if moment.tzinfo is None:
        raise ValueError("a time has no offset from UTC")
    if moment.year < 1970 or moment.year > 9_000 or moment > datetime.now(UTC) + _CLOCK_SKEW:
        raise ValueError(f"{moment.isoformat()} is in the future, or before 1970")


def _check_spec(spec: Mapping[str, Any]) -> None:
    """Check the size of a spec, and the fields that are read without compiling it. Raises ValueError, TypeError."""
    if len(dumps(dict(spec))) > _MOST_SPEC_BYTES:
        raise ValueError("the spec has more than 1 MiB")
    endpoints = spec.get("endpoints")
    if endpoints is None:
        return
    if not isinstance(endpoints, list):
        raise TypeError("invalid endpoints in the spec")
    for endpoint in endpoints:
        if not isinstance(endpoint, dict) or not isinstance(endpoint.get("name", ""), str):
            raise TypeError("invalid endpoint in the spec")


def _event(document: Any) -> RunEvent:
    """Parse an event, and check that it is complete and of a known kind, as readers of streams rely on that."""
    event = EVENT.record(document)
    _check_moment(event.at)
    # `finished` events of earlier versions have no outcome; readers take it from the run.
    earlier = {"outcome": RunOutcome.PASSED} if event.kind == "finished" else {}
    complete = {**earlier, **event.data, "kind": event.kind, "sequence": event.sequence, "at": event.at}
    if event.kind not in _STORED_KINDS:
        raise ValueError(f"unknown kind of event {event.kind[:40]!r}")
    EVENTS.validate_python(complete)
    return event


def _interval(document: Any) -> Interval:
    return Interval.from_bytes(json.dumps(document).encode())


def _lines(file: IO[bytes], place: str, line_bytes: int) -> Iterator[tuple[int, Any]]:
    """Yield the decompressed documents with their line numbers, within the limits."""
    left = MAXIMUM_BYTES
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as unpacked, io.BufferedReader(unpacked) as reader:
            number = 0
            while line := reader.readline(line_bytes):
                number += 1
                left -= len(line)
                if left < 0:
                    raise _invalid(f"the bundle decompresses to more than {MAXIMUM_BYTES >> 30} GiB", place)
                if len(line) == line_bytes:
                    raise _invalid(f"a line has more than {line_bytes >> 20} MiB", f"{place}:{number}")
                yield number, _document(line, f"{place}:{number}")
    except (OSError, EOFError, zlib.error) as error:
        raise _invalid("this is not the bundle of a run, or incomplete", place, "export the run again") from error


def _document(line: bytes, where: str) -> Any:
    try:
        return load_bounded(line, largest=_LARGEST)
    except JsonBoundsError as error:
        raise _invalid(f"the line cannot be stored: {error}", where) from error
    except ValueError as error:
        raise _invalid("the line is not JSON", where) from error


def _part(line: tuple[int, Any] | None, key: str | None, place: str) -> dict[str, Any]:
    if line is None or not isinstance(line[1], dict) or (key is not None and key not in line[1]):
        raise _invalid("this is not the bundle of a run, or incomplete", place, "bundles are written by `atm export`")
    return line[1]


def _parsed(parse: Callable[[Any], _Value], content: Any, where: str) -> _Value:
    try:
        return parse(content)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        raise _invalid(f"{path}: {first['msg']}", where) from error
    except ConflictError as error:
        raise _invalid(error.problems[0].what, where) from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise _invalid(f"invalid content: {str(error)[:300]}", where) from error


def _invalid(what: str, place: str, hint: str = "") -> BundleError:
    return BundleError(Problem(what, "invalid_bundle", place=place.removeprefix(":"), hint=hint))


def bundle_name(name: str, run_id: str) -> str:
    """Return the file name of a bundle: `<name>-<first eight of the id>.atm.gz`."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-").lower()[:60]
    return f"{plain or 'run'}-{run_id[:8]}.atm.gz"
