from __future__ import annotations

import copy
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from benches.peers import figures, table
from benches.peers.figures import Bar
from benches.peers.plot import svg


def closed(requests: int, cpu: float, **more: Any) -> dict[str, Any]:
    return {
        "requests": requests,
        "seconds": 5.0,
        "cpu_user": cpu / 4,
        "cpu_system": cpu * 3 / 4,
        "server_cpu": 4.9,
        "memory_bytes": 5_000_000,
        **more,
    }


def times(p50: float, p90: float, p99: float, maximum: float) -> dict[str, float | None]:
    return {"p50": p50, "p90": p90, "p99": p99, "p99_9": None, "maximum": maximum}


DOCUMENT: dict[str, Any] = {
    "measured_at": "2030-01-02T03:04:05+00:00",
    "took_seconds": 800,
    "commit": "abc1234",
    "machine": {
        "processor": "Some Processor",
        "cores": 2,
        "memory_gib": 16.0,
        "system": "Linux 6.1",
        "python": "3.11.7",
        "load_before": 0.04,
    },
    "settings": {
        "repeats": 3,
        "open_repeats": 1,
        "long_window_seconds": 5.0,
        "window_seconds": 2.5,
        "paced_seconds": 10,
    },
    "versions": {"wrk": "4.1.0", "atm": None},
    "sections": {
        "h1": {
            "wrk": {"samples": [closed(100_000, 1.0), closed(100_000, 2.0), closed(100_000, 1.5)]},
            "oha": {"problem": "not installed: cargo is not there to install it"},
            "atm native": {"samples": [closed(100_000, 0.8), closed(100_000, 1.9), closed(100_000, 1.2)]},
        },
        "rate 5000": {
            "atm native": {
                "samples": [
                    {
                        "asked_rate": 5000,
                        "seconds": 10,
                        "received": 50_000,
                        "rate": 5001.0,
                        "spread": 0.2,
                        "fine_spread": 0.4,
                        "cpu_per_100k": 2.0,
                        "cpu_share": 0.1,
                    }
                ]
            }
        },
        "pause": {
            "wrk": {
                "samples": [
                    {
                        "closed": True,
                        "due": None,
                        "received": 250_000,
                        "printed": times(0.5, 2.28, 6.5, 16.2),
                        "truth": times(0.04, 1000.0, 1900.0, 2000.0),
                    }
                ]
            },
            "atm native": {
                "samples": [
                    {
                        "closed": False,
                        "due": 5000,
                        "received": 5000,
                        "printed": times(0.1, 1005.0, 1950.0, 2001.0),
                        "truth": times(0.04, 1000.0, 1900.0, 2000.0),
                    }
                ]
            },
        },
    },
}


def bar(what: str, document: dict[str, Any] = DOCUMENT) -> Bar:
    [found] = [bar for bar in figures.bars(document) if bar.what == what]
    return found


def test_a_ratio_is_the_median_of_the_ratios_within_a_repeat() -> None:
    cost = bar("HTTP/1.1: CPU per request")
    assert cost.value == pytest.approx(0.8)
    assert (cost.limit, cost.verdict) == (0.9, "reached")
    faster = next(bar for bar in figures.bars(DOCUMENT) if bar.unit == "× wrk" and not bar.at_most)
    assert faster.value == pytest.approx(1 / 0.8)


def test_a_bar_that_is_missed_says_so() -> None:
    assert bar("5,000 requests/s: off the rate").value == pytest.approx(0.02)
    assert bar("5,000 requests/s: sd/mean per 10 ms").verdict == "missed"
    assert bar("2 s pause: p99 off the closed form").value == pytest.approx(2.6316, abs=1e-3)
    assert bar("2 s pause: p99 off the closed form").verdict == "missed"
    assert bar("2 s pause: p90 off the closed form").verdict == "reached"


def test_a_bar_without_figures_is_not_measured_and_says_why() -> None:
    instructions = bar("user instructions per request")
    assert (instructions.verdict, instructions.reason) == ("not measured", "not part of this campaign")
    no_peer = next(bar for bar in figures.bars(DOCUMENT) if bar.unit == "× oha" and bar.what.startswith("HTTP/1.1:"))
    assert no_peer.reason == "oha: not installed: cargo is not there to install it"


def test_a_figure_that_a_tool_does_not_print_is_infinitely_far_from_the_truth() -> None:
    document = copy.deepcopy(DOCUMENT)
    document["sections"]["pause"]["atm native"]["samples"][0]["printed"]["p90"] = None
    assert bar("2 s pause: p90 off the closed form", document).verdict == "missed"


def test_the_tables_show_everything_that_is_in_the_document() -> None:
    text = table.markdown(DOCUMENT)
    assert "| atm native | 1.20 (0.30 + 0.90) | 0.80 (0.80–0.95) | 20,000 | **98 %** | 5.00 |" in text
    assert "| oha | not installed: cargo is not there to install it |  |  |  |  |" in text
    assert "| atm native | 50,000 | 5,001.0 | 0.20 | 0.40 | 2.00 | 10 % |" in text
    assert (
        "| wrk | 250,000 (closed model) | 0.5000 (0.0400) | 2.280 (1,000) | 6.500 (1,900) | – (–) | 16.20 (2,000) |"
        in text
    )
    assert "| 2 s pause: p99 off the closed form | ≤ 1 % | 2.63 | **missed** |" in text


def test_every_row_has_as_many_cells_as_its_head() -> None:
    widths: set[int] = set()
    for line in [*table.markdown(DOCUMENT).splitlines(), ""]:
        if line.startswith("|"):
            widths.add(line.count("|"))
        else:
            assert len(widths) <= 1
            widths = set()


def test_the_cheapest_client_comes_first_and_the_missing_last() -> None:
    rows = [line.split(" | ")[0] for line in table.markdown(DOCUMENT).splitlines() if line.startswith("| ")]
    assert rows.index("| atm native") < rows.index("| wrk") < rows.index("| oha")


def test_the_picture_is_well_formed_and_has_a_bar_per_measured_client() -> None:
    root = ElementTree.fromstring(svg(DOCUMENT))
    names = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text") if text.get("text-anchor") == "end"]
    assert names == ["atm native", "wrk"]
