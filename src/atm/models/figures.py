"""Format figures identically for the terminal, reports, messages and the dashboard.

Rules, with test vectors in docs/reference/number-formats.json that our other formatters read too:

- times: three significant digits, at most three decimals, in the unit that fits the value; tables use one unit
- rates: four significant digits, without trailing zeros in the decimals; counts: exact, with commas
- shares of requests: two decimals below 1 % and above 99 %, else one; a non-zero share is never `0 %`, an incomplete
  one never `100 %`; CPU, progress and change: whole percent
- values of metrics that a test declares: whole numbers exactly, others with four significant digits
- bytes: SI, three significant digits; durations: `34.0 s`, `5 min 12 s`, `2 h 03 min`
- non-zero values are never shown as `0` for lack of digits (`<0.001`); ties round up
- `-` is no data, `∞` is beyond every sample

Values are unrounded and in the unit given by the function's name or docstring; None is no data.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal

from atm.models.metric import Unit

NO_DATA = "-"
INFINITE = "∞"

_TIME_UNITS = (("ns", 1e-6), ("µs", 1e-3), ("ms", 1.0), ("s", 1e3))
"""Units of time with their length in ms."""
_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def time(milliseconds: float | None) -> str:
    """Format a time with the unit that fits it: `840 µs`, `12.4 ms`, `2.04 s`."""
    if milliseconds is None or math.isinf(milliseconds):
        return _special(milliseconds)
    unit = time_unit(milliseconds)
    return f"{time_in(milliseconds, unit)} {unit}"


def time_unit(milliseconds: float | None) -> str:
    """Return the unit that fits a time (for a table, its median); `ms` without data, for zero and for ∞."""
    if not milliseconds or math.isinf(milliseconds):
        return "ms"
    for unit, length in _TIME_UNITS:
        # 999.6 µs rounds to 1,000, i.e. 1.00 ms.
        if _rounded(abs(milliseconds) / length, 3) < 1000:
            return unit
    return "s"


def time_in(milliseconds: float | None, unit: str) -> str:
    """Format a time as a number in `unit` (`ns`, `µs`, `ms` or `s`), for a table that gives its unit once."""
    if milliseconds is None or math.isinf(milliseconds):
        return _special(milliseconds)
    return _digits(milliseconds / dict(_TIME_UNITS)[unit], 3, 0 if unit == "ns" else 3)


def rate(per_second: float | None) -> str:
    """Format a rate without its unit: `499.9`, `8,120`."""
    if per_second is None or math.isinf(per_second):
        return _special(per_second)
    text = _digits(per_second, 4, 3)
    return text.rstrip("0").rstrip(".") if "." in text else text


def count(number: int | None) -> str:
    """Format an exact number with commas: `30,000`."""
    return NO_DATA if number is None else f"{number:,}"


def counted(number: int, noun: str) -> str:
    """Format an exact number with its noun, which has a regular plural: `1 user`, `3 users`, `2 processes`."""
    plural = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{count(number)} {noun}{plural}"


def share(part: float | None) -> str:
    """Format a share of requests, 0..1, as percent: `0.13 %`, `36.9 %`, `99.87 %`."""
    if part is None:
        return NO_DATA
    percent = part * 100
    if percent <= 0:
        return "0 %"
    if percent >= 100:
        return "100 %"
    if percent > 99:
        return f"{_fixed(percent, 2)} %" if percent < 99.995 else ">99.99 %"
    if percent < 0.005:
        return "<0.01 %"
    return f"{_fixed(percent, 2)} %" if percent < 0.995 else f"{_fixed(percent, 1)} %"


def percent(part: float | None) -> str:
    """Format another share (CPU, progress, change), 0..1, as whole percent: `34 %`."""
    if part is None or math.isinf(part):
        return _special(part)
    return f"{_half_up(part * 100):,} %"


def size(number: float | None) -> str:
    """Format a number of bytes in SI units: `512 B`, `52.0 kB`."""
    if number is None:
        return NO_DATA
    for power, unit in enumerate(_BYTE_UNITS):
        scaled = number / 1000**power
        if _rounded(scaled, 3) < 1000 or unit == _BYTE_UNITS[-1]:
            return f"{_digits(scaled, 3, 3 if power else 0)} {unit}"
    raise AssertionError("the last unit takes everything")


def duration(seconds: float | None) -> str:
    """Format a measured duration: `350 ms`, `34.0 s`, `5 min 12 s`, `2 h 03 min`."""
    if seconds is None or math.isinf(seconds):
        return _special(seconds)
    if seconds < 0.9995:
        return time(seconds * 1e3)
    if seconds < 119.95:
        return f"{_fixed(seconds, 1)} s"
    whole = _half_up(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = _half_up(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def planned(seconds: float | None) -> str:
    """Format a configured duration, without added zeros: `5 s`, `2.5 s`, `1 min 30 s`, `2 h`."""
    if seconds is None:
        return NO_DATA
    milliseconds = _half_up(seconds * 1e3)
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] * (hours > 0) + [f"{minutes} min"] * (minutes > 0)
    if rest:
        parts.append(f"{rest / 1000:g} s")
    return " ".join(parts)


def clock(seconds: float | None) -> str:
    """Format a time since the start of a run: `00:34`, `1:01:05`; the second that contains it, not the nearest."""
    if seconds is None:
        return NO_DATA
    minutes, rest = divmod(math.floor(seconds), 60)
    if minutes < 60:
        return f"{minutes:02d}:{rest:02d}"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def multiple(times: float | None) -> str:
    """Format a multiple of a limit: `1.3 ×`, `12 ×`; only the limit itself is `1.0 ×`."""
    if times is None or math.isinf(times):
        return _special(times)
    if times >= 9.95:
        return f"{_half_up(times):,} ×"
    text = _fixed(times, 1)
    if text != "1.0" or times == 1:
        return f"{text} ×"
    finer = _fixed(times, 2)
    if finer != "1.00":
        return f"{finer} ×"
    return "just over 1 ×" if times > 1 else "just under 1 ×"


def own_value(value: float | None, unit: str = "") -> str:
    """Format a value of a metric that a test declares: `12,345`, `12.35 €`, `0.001234`.

    Whole numbers, and those from 1,000 on, have no decimals; others have four significant digits at most.
    """
    if value is None or math.isinf(value):
        return _special(value)
    text = _fixed(value, 0) if value == int(value) or abs(value) >= 999.95 else _digits(value, 4, 9)
    if "." in text and not text.startswith("<"):
        text = text.rstrip("0").rstrip(".")
    return f"{text} {unit}" if unit else text


def measured(value: float | None, unit: Unit, own_unit: str = "") -> str:
    """Format a threshold's measured value with its unit: `352 ms`, `14.2 %`, `51.5 /s`, `12 orders`."""
    if value is None or math.isinf(value):
        return _special(value)
    match unit:
        case Unit.MILLISECONDS:
            return time(value)
        case Unit.SHARE:
            return share(value)
        case Unit.PER_SECOND:
            return f"{rate(value)} /s"
        case Unit.OWN:
            return own_value(value, own_unit)


def _special(value: float | None) -> str:
    if value is None:
        return NO_DATA
    return INFINITE if value > 0 else f"-{INFINITE}"


def _digits(value: float, significant: int, decimals: int) -> str:
    """Format `value` with the given significant digits and maximum decimals, with commas; zeros are kept."""
    if value == 0:
        return "0"
    rounded = _rounded(value, significant)
    places = min(max(significant - 1 - math.floor(math.log10(abs(rounded))), 0), decimals)
    text = _fixed(rounded, places)
    if float(text.replace(",", "")) == 0:
        return "<" + _fixed(10.0**-places, places)
    return text


def _rounded(value: float, significant: int) -> float:
    exact = Decimal(value)
    if not exact:
        return 0.0
    place = Decimal(1).scaleb(exact.adjusted() - significant + 1)
    return float(exact.quantize(place, ROUND_HALF_UP))


def _fixed(value: float, places: int) -> str:
    # Ties round up, like JavaScript's toFixed; Python's formatting would round them to even.
    return f"{Decimal(value).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):,f}"


def _half_up(value: float) -> int:
    return math.floor(value + 0.5)
