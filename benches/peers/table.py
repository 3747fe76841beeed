"""Markdown tables of the figures of a stored document, for the docs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benches.peers import figures
from benches.peers.closed_rows import AGAINST_RESPONDER, AT_EQUAL_RATES, QUOTA, SCENARIOS, Scenario
from benches.peers.figures import Bar, Document

SERVER_LIMIT_PERCENT = 95
"""CPU of the server's core above which it limited the client."""
_TRUTHS = {
    "delays": (
        "Known delays",
        "500 requests/s for 10 s; 98 % of the answers after 1 ms, 2 % after 50 ms. In brackets: the server's record.",
    ),
    "pause": (
        "A pause of 2 s",
        "500 requests/s for 10 s; the server is frozen for 2 s after 4 s. In brackets: what visitors waited who come "
        "at that rate.",
    ),
}


def markdown(document: Document) -> str:
    """Return all tables, with headings of level three."""
    parts = [origin(document), bars_table(figures.bars(document))]
    sections = document["sections"]
    parts += [
        closed_table(document, scenario)
        for scenario in (*AGAINST_RESPONDER, *AT_EQUAL_RATES, *SCENARIOS, QUOTA)
        if scenario.key in sections
    ]
    if "instructions" in sections:
        parts.append(instructions_table(document))
    parts += [rate_table(document, section) for section in sections if section.startswith("rate ")]
    parts += [truth_table(document, section) for section in _TRUTHS if section in sections]
    parts.append(versions_table(document))
    return "\n\n".join(parts) + "\n"


def origin(document: Document) -> str:
    """Return the machine and date of the measurement."""
    machine, settings = document["machine"], document["settings"]
    return (
        f"Measured on {document['measured_at'][:10]} at commit `{document['commit']}`: {machine['processor']}, "
        f"{machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}, Python {machine['python']}; load "
        f"of the machine before: {machine['load_before']:.2f}. {settings['repeats']} interleaved repeats (paced rows: "
        f"{settings['open_repeats']}), windows of {settings['long_window_seconds']:g} s (HTTP/1.1) and "
        f"{settings['window_seconds']:g} s; {document['took_seconds']} s in all."
    )


def bars_table(bars: Sequence[Bar]) -> str:
    """Return the table of our bars, including missed ones."""
    rows = []
    for bar in bars:
        limit = f"{'≤' if bar.at_most else '≥'} {bar.limit:g} {bar.unit}".rstrip()
        reached = _text(bar.value, 3) if bar.value is not None else bar.reason
        verdict = f"**{bar.verdict}**" if bar.verdict == "missed" else bar.verdict
        rows.append([bar.what, limit, reached, verdict])
    return _table("Our bars for the native engine", "", ["measure", "bar", "measured", ""], rows)


def closed_table(document: Document, scenario: Scenario) -> str:
    """Return the table of a closed scenario, cheapest client first."""
    baseline = scenario.baseline
    head = [
        "client",
        "CPU s per 100,000 (user + system)",
        f"× {figures.short(baseline)} (range)",
        "requests/s",
        "server CPU",
        "peak memory MB",
    ]
    rows = []
    for name in _by_cost(document, scenario.key, scenario.clients):
        cost = figures.median(document, scenario.key, name, figures.cpu_per_100k)
        if cost is None:
            rows.append([name, *_no_figures(document, scenario.key, name, len(head))])
            continue
        user = figures.median(document, scenario.key, name, figures.user_per_100k)
        system = figures.median(document, scenario.key, name, figures.system_per_100k)
        server = figures.median(document, scenario.key, name, lambda s: s["server_cpu"] / s["seconds"] * 100)
        memory = figures.median(document, scenario.key, name, lambda s: s["memory_bytes"] / 1e6)
        speed = figures.median(document, scenario.key, name, figures.rate)
        ratio = _ratio(figures.ratios(document, scenario.key, name, baseline, figures.cpu_per_100k))
        split = f"{_text(cost, 3)} ({_text(user, 2)} + {_text(system, 2)})"
        rows.append([name, split, ratio, _count(speed), _server_share(server), _text(memory, 3)])
    note = f"Rows in bold: the server was above {SERVER_LIMIT_PERCENT} %, so its requests/s are not the client's limit."
    return _table(scenario.title, note, head, rows)


def _server_share(percent: float | None) -> str:
    if percent is None:
        return ""
    return f"**{percent:.0f} %**" if percent > SERVER_LIMIT_PERCENT else f"{percent:.0f} %"


def instructions_table(document: Document) -> str:
    """Return the table of instructions per request, on machines that count them."""
    section = document["sections"]["instructions"]
    head = ["client", "user", "kernel"]
    reasons = {row.get("problem") for row in section.values()}
    title = "Instructions per request (HTTP/1.1, 98-byte answer)"
    if len(reasons) == 1 and None not in reasons:
        return f"### {title}\n\nNot measured: {reasons.pop()}."
    rows = []
    for name in _measured_first(document, "instructions"):
        user = figures.median(document, "instructions", name, lambda s: s["user_instructions"])
        kernel = figures.median(document, "instructions", name, lambda s: s["kernel_instructions"])
        missing = _no_figures(document, "instructions", name, len(head))
        rows.append([name, _count(user), _count(kernel)] if user is not None else [name, *missing])
    return _table(title, "", head, rows)


def rate_table(document: Document, section: str) -> str:
    """Return the table of a paced rate, as recorded by the server."""
    rate = int(section.split()[1])
    head = ["client", "arrived", "requests/s", "sd/mean per 10 ms", "per 1 ms", "CPU s per 100,000", "CPU"]
    rows = []
    for name in _measured_first(document, section):
        found = figures.samples(document, section, name)
        if not found:
            rows.append([name, *_no_figures(document, section, name, len(head))])
            continue
        of = {key: figures.median(document, section, name, lambda s, k=key: s[k]) for key in found[0]}  # type: ignore[misc]
        rows.append(
            [
                name,
                _count(of["received"]),
                f"{of['rate']:,.1f}",
                f"{of['spread']:.2f}",
                f"{of['fine_spread']:.2f}",
                _text(of["cpu_per_100k"], 3),
                f"{(of['cpu_share'] or 0) * 100:.0f} %",
            ]
        )
    seconds = document["settings"]["paced_seconds"]
    poisson = f"{(rate / 100) ** -0.5:.2f} per 10 ms and {(rate / 1000) ** -0.5:.2f} per 1 ms"
    note = f"Due: {rate * seconds:,} requests in {seconds} s. A Poisson process has sd/mean {poisson}."
    return _table(f"{rate:,} requests/s", note, head, rows)


def truth_table(document: Document, section: str) -> str:
    """Return the table of printed response times with the true values in brackets, in milliseconds."""
    title, note = _TRUTHS[section]
    head = ["client", "sent", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms"]
    rows = []
    for name in _measured_first(document, section):
        found = figures.samples(document, section, name)
        if not found:
            rows.append([name, *_no_figures(document, section, name, len(head))])
            continue
        last = found[-1]
        sent = f"{last['received']:,}" + (" (closed model)" if last["closed"] else f" of {last['due']:,}")
        pairs = [_pair(last, key) for key in ("p50", "p90", "p99", "p99_9", "maximum")]
        rows.append([name, sent, *pairs])
    return _table(title, note, head, rows)


def versions_table(document: Document) -> str:
    """Return the table of versions."""
    rows = [[tool, version or "unknown"] for tool, version in document["versions"].items()]
    return _table("Versions", "The commands stand in the raw output.", ["tool", "version"], rows)


def _by_cost(document: Document, section: str, names: Sequence[str]) -> list[str]:
    present = [name for name in names if name in document["sections"][section]]
    costs = {name: figures.median(document, section, name, figures.cpu_per_100k) for name in present}
    return sorted(present, key=lambda name: (costs[name] is None, costs[name] or 0.0))


def _measured_first(document: Document, section: str) -> list[str]:
    return sorted(document["sections"][section], key=lambda name: not figures.samples(document, section, name))


def _no_figures(document: Document, section: str, name: str, columns: int) -> list[str]:
    return [figures.problem(document, section, name).replace("|", "/"), *[""] * (columns - 2)]


def _pair(sample: Mapping[str, Any], key: str) -> str:
    said, true = sample["printed"][key], sample["truth"][key]
    return f"{'–' if said is None else _text(said, 4)} ({_text(true, 4)})"


def _ratio(ratios: Sequence[float]) -> str:
    if not ratios:
        return "–"
    ordered = sorted(ratios)
    middle = ordered[len(ordered) // 2] if len(ordered) % 2 else sum(ordered[len(ordered) // 2 - 1 :][:2]) / 2
    return f"{middle:.2f} ({ordered[0]:.2f}–{ordered[-1]:.2f})"


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _text(value: float | None, digits: int) -> str:
    """Format with `digits` significant digits, without exponent."""
    if value is None:
        return "–"
    if value != value or value in (float("inf"), float("-inf")):
        return "∞"
    size = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    return f"{value:,.{max(digits - size, 0)}f}"


def _table(title: str, note: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"### {title}", ""]
    if note:
        lines += [note, ""]
    lines += [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)
