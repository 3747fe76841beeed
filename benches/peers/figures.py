"""Figures of a stored document: medians, ratios within one repeat, and bars with their results.

Pure: the same document gives the same figures, so the docs can be verified against the committed document.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benches.peers.closed_rows import CONSTANT, TEMPLATES

Document = Mapping[str, Any]
Figure = Callable[[Mapping[str, Any]], float]


@dataclass(frozen=True, slots=True)
class Bar:
    """One of our bars with the measured value; `value` is None if it could not be measured."""

    what: str
    limit: float
    at_most: bool
    value: float | None
    reason: str = ""
    """The reason if there is no value."""
    unit: str = ""

    @property
    def verdict(self) -> str:
        """`reached`, `missed` or `not measured`."""
        if self.value is None:
            return "not measured"
        holds = self.value <= self.limit if self.at_most else self.value >= self.limit
        return "reached" if holds else "missed"


def cpu_per_100k(sample: Mapping[str, Any]) -> float:
    """Return the CPU seconds per 100,000 requests of a closed or paced sample."""
    if "cpu_per_100k" in sample:
        return float(sample["cpu_per_100k"])
    return float((sample["cpu_user"] + sample["cpu_system"]) / sample["requests"] * 100_000)


def user_per_100k(sample: Mapping[str, Any]) -> float:
    """Return the user-space part of `cpu_per_100k`."""
    return float(sample["cpu_user"] / sample["requests"] * 100_000)


def system_per_100k(sample: Mapping[str, Any]) -> float:
    """Return the kernel part of `cpu_per_100k`."""
    return float(sample["cpu_system"] / sample["requests"] * 100_000)


def rate(sample: Mapping[str, Any]) -> float:
    """Return the requests per second of a closed sample, counted by nginx."""
    return float(sample["requests"] / sample["seconds"])


def samples(document: Document, section: str, client: str) -> Sequence[Mapping[str, Any]]:
    """Return the samples of a client in a section; empty if there was a problem."""
    row = document["sections"].get(section, {}).get(client, {})
    found: Sequence[Mapping[str, Any]] = () if "problem" in row else row.get("samples", ())
    return found


def problem(document: Document, section: str, client: str) -> str:
    """Return the reason why a client has no figures in a section."""
    row = document["sections"].get(section, {}).get(client)
    if row is None:
        return "not part of this campaign"
    return str(row.get("problem", "") or ("" if row.get("samples") else "not measured"))


def median(document: Document, section: str, client: str, figure: Figure) -> float | None:
    """Return the median of a figure over the repeats."""
    found = [figure(sample) for sample in samples(document, section, client)]
    return statistics.median(found) if found else None


def ratios(document: Document, section: str, client: str, baseline: str, figure: Figure) -> list[float]:
    """Return the ratio of a figure to that of the baseline, for each repeat."""
    ours, theirs = samples(document, section, client), samples(document, section, baseline)
    return [figure(own) / figure(other) for own, other in zip(ours, theirs, strict=False) if figure(other) > 0]


def bars(document: Document) -> list[Bar]:
    """Return all bars of the native engine that this benchmark measures."""
    judge = _Judge(document)
    found = [
        judge.ratio("responder h1", "wrk", 0.75, "HTTP/1.1, client is the limit: CPU per request"),
        judge.ratio("responder tls", "wrk", 0.75, "TLS 1.3, client is the limit: CPU per request"),
        judge.ratio("responder big", "wrk", 0.85, "10 KiB answers, client is the limit: CPU per request"),
        judge.ratio("responder h2", "h2load", 0.75, "HTTP/2 over TLS, client is the limit: CPU per request"),
        judge.ratio("h1", "wrk", 0.90, "HTTP/1.1: CPU per request"),
        judge.figure("instructions", lambda s: s["user_instructions"], 5000, "user instructions per request"),
        judge.figure("instructions", lambda s: s["kernel_instructions"], 14_500, "kernel instructions per request"),
    ]
    for peer, least in (("wrk", 1.1), ("oha", 1.5), ("k6", 3.0), ("Locust FastHttpUser", 15.0)):
        found.append(judge.times("h1", peer, least, "HTTP/1.1: requests per CPU second", lambda s: 1 / cpu_per_100k(s)))
        found.append(judge.times("quota", peer, least, "HTTP/1.1 under the same CPU quota: requests/s", rate))
    found += [
        judge.ratio("tls", "wrk", 1.05, "TLS 1.3: CPU per request"),
        judge.ratio("h2", "h2load", 1.1, "HTTP/2 over TLS: CPU per request"),
        judge.ratio("big", "wrk", 1.0, "10 KiB answers: CPU per request"),
        judge.ratio(
            "templates",
            CONSTANT,
            1.25,
            "templates in URL, header and body: CPU per request",
            TEMPLATES,
        ),
        judge.figure("h1", lambda s: s["memory_bytes"] / 1e6, 90, "peak memory of the whole process", "MB"),
    ]
    for requested in (1_000, 5_000, 20_000):
        section = f"rate {requested}"
        found.append(judge.figure(section, _off_rate, 0.05, f"{requested:,} requests/s: off the rate", "%"))
        found.append(judge.figure(section, lambda s: s["spread"], 0.10, f"{requested:,} requests/s: sd/mean per 10 ms"))
    for peer, most in (("h2load", 1.3), ("oha", 1.0), ("vegeta", 1.0)):
        found.append(judge.ratio("rate 5000", peer, most, "5,000 requests/s: CPU per request"))
    return found + _truth_bars(judge)


def _truth_bars(judge: _Judge) -> list[Bar]:
    found = []
    for name in ("p50", "p90"):
        title = f"known delays: {name} off the server's own"
        found.append(judge.figure("delays", _difference(name), 0.15, title, "ms"))
    for name in ("p99", "p99_9"):
        title = f"known delays: {name.replace('_', '.')} off the server's own"
        found.append(judge.figure("delays", _difference_percent(name), 1.0, title, "%"))
    for name in ("p90", "p99", "maximum"):
        title = f"2 s pause: {name} off the closed form"
        found.append(judge.figure("pause", _difference_percent(name), 1.0, title, "%"))
    found.append(judge.figure("pause", lambda s: float(s["due"] - s["received"]), 0, "2 s pause: requests not sent"))
    return found


class _Judge:
    """Compares the native engine's figures in a document with bars."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def figure(self, section: str, figure: Figure, limit: float, what: str, unit: str = "") -> Bar:
        value = median(self._document, section, "atm native", figure)
        return Bar(what, limit, True, value, problem(self._document, section, "atm native"), unit)

    def ratio(self, section: str, baseline: str, limit: float, what: str, client: str = "atm native") -> Bar:
        return self._against(section, baseline, limit, what, cpu_per_100k, client, at_most=True)

    def times(self, section: str, baseline: str, limit: float, what: str, figure: Figure) -> Bar:
        return self._against(section, baseline, limit, what, figure, "atm native", at_most=False)

    def _against(
        self, section: str, baseline: str, limit: float, what: str, figure: Figure, client: str, *, at_most: bool
    ) -> Bar:
        found = ratios(self._document, section, client, baseline, figure)
        document = self._document
        missing = problem(document, section, client)
        if not missing and problem(document, section, baseline):
            missing = f"{baseline}: {problem(document, section, baseline)}"
        value = statistics.median(found) if found else None
        return Bar(what, limit, at_most, value, missing, f"× {short(baseline)}")


def short(baseline: str) -> str:
    """Return the short name of a baseline in a ratio."""
    return "the constant request" if baseline == CONSTANT else baseline


def _off_rate(sample: Mapping[str, Any]) -> float:
    return abs(float(sample["rate"]) / float(sample["asked_rate"]) - 1) * 100


def _difference(name: str) -> Figure:
    return lambda sample: abs(_number(sample["printed"][name]) - _number(sample["truth"][name]))


def _difference_percent(name: str) -> Figure:
    return lambda sample: abs(_number(sample["printed"][name]) / _number(sample["truth"][name]) - 1) * 100


def _number(value: float | None) -> float:
    # A tool that does not print the figure is infinitely far off, and misses the bar.
    return float("inf") if value is None else float(value)
