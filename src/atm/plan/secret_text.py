"""Find credentials inside text, by name in forms, JSON, XML, cookies and prose, and by their format.

Both uses share `secret_spans`: a plan turns its findings into slots, and displayed or stored text has `***` there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache

from atm.plan.secret_names import is_plural, is_sensitive

MASK = "***"
SCHEMES = frozenset({"", "bearer", "basic", "token", "digest", "apikey", "negotiate"})
"""Words of an Authorization header that are not secret."""

Span = tuple[int, int]
_TEMPLATE = re.compile(r"\{\{[^{}]*\}\}")
_PLAIN_VALUES = frozenset({"true", "false", "null", "none", "undefined"})
_LEAST = 8
"""Characters; no shorter text can hold a name with a value, or look like a credential."""

_PATTERNS: dict[str, str] = {
    "shape": (
        r"(?<![\w-])(?:eyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*){0,3}|(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_\w{20,}"
        r"|github_pat_\w{20,}|gl[a-z]{2,5}-[\w-]{20,}|xox[a-z]-[\w-]{10,}|xapp-[\w-]{10,}|[srp]k_(?:live|test)_\w{10,}"
        r"|whsec_[\w+/=]{10,}|sk-[\w-]{20,}|AIza[\w-]{30,}|ya29\.[\w-]{10,}|SG\.[\w-]{10,}\.[\w-]{10,}|npm_\w{30,}"
        r"|pypi-[\w-]{30,}|hf_\w{30,}|do[opr]_v1_\w{30,}|shp(?:at|ca|pa|ss)_\w{20,}|hv[sbr]\.[\w-]{20,}"
        r"|AGE-SECRET-KEY-1\w+|\d{8,10}:AA[\w-]{33})"
        r"|-----BEGIN[ A-Z]*PRIVATE KEY[ A-Z]*-----(?s:.*?)(?:-----END[ A-Z]*-----|\Z)"
        r"|(?i:\b(?:bearer|basic|negotiate|digest|apikey)\s+)(?P<token>(?=[\w.~+/-]*\d)[\w.~+/-]{8,}=*)"
        r"|://(?P<user>[^/?#@\s\"'<>]+)@"
        r"|hooks\.slack\.com/services/(?P<hook>[\w/]+)"
    ),
    "name": (
        r"(?:(?P<quote>\\*[\"'])(?P<quoted>(?:[^\"'\\\r\n]|\\u[0-9a-fA-F]{4}){1,100})(?P=quote)"
        r"|(?<![\w.$@%\[\]-])(?P<bare>[\w.$@%\[\]-]{1,100}))"
        r"\s{0,3}(?P<sign>=>|:(?!//)|=)\s{0,3}(?P<open>\\*[\"'])?"
    ),
    "=": r"(?:\{\{[^{}]*\}\}|[^&;\s\"'<>\\{]|\{(?!\{))+",
    ":": r"(?:\{\{[^{}]*\}\}|[^&;,\r\n\"'<>\\{}\])])+",
    '"': r"(?s:[^\"\\]|\\.)*",
    "'": r"(?s:[^'\\]|\\.)*",
    "leaf": r"\"((?:[^\"\\]|\\.)*)\"(?!\s*:)|(?<![\w.\"])(-?\d[\d.eE+-]*)",
    "tag": r"<([\w:.-]{1,100})(?:\s[^<>]{0,300})?>([^<]+)</",
    "part": r";\s*name=\"([^\"\r\n]{1,100})\"[^\r\n]*\r?\n(?:[^\r\n]+\r?\n){0,5}\r?\n([^\r\n]+)",
    "pair": (
        r"\"(?:name|key|field|header)\"\s{0,3}:\s{0,3}\"([^\"\\]{1,100})\"\s{0,3},\s{0,3}"
        r"\"(?:value|val)\"\s{0,3}:\s{0,3}\"((?:[^\"\\]|\\.)*)\""
    ),
}
_SHAPE_MARKS = (
    *("eyJ", "AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "gl", "xox", "xapp-", "k_live_"),
    *("k_test_", "whsec_", "sk-", "AIza", "ya29.", "SG.", "npm_", "pypi-", "hf_", "_v1_", "shpat_", "shpca_", "shppa_"),
    *("shpss_", "hvs.", "hvb.", "hvr.", "AGE-", "PRIVATE", "@", "slack", ":AA"),
)
"""Texts without one of these cannot match the shape pattern, which is expensive."""
_SCHEME_MARKS = ("bearer", "basic", "negotiate", "digest", "apikey")


def masked_text(text: str) -> str:
    """Return `***` for a literal secret; text made of templates and at most a scheme such as `Bearer` is unchanged."""
    return text if _TEMPLATE.sub("", text).strip().lower() in SCHEMES else MASK


def masked_in_text(text: str, *, colons: bool = True) -> str:
    """Replace each credential in a text by `***`; see `secret_spans`."""
    spans = secret_spans(text, colons=colons)
    if not spans:
        return text
    pieces = []
    position = 0
    for start, end in spans:
        pieces += [text[position:start], MASK]
        position = end
    return "".join([*pieces, text[position:]])


def looks_secret(text: str) -> bool:
    """Return whether a text holds something in the format of a credential, apart from user names in URLs."""
    return len(text) >= _LEAST and any(text[start - 3 : start] != "://" for start, _ in _shaped(text))


def secret_spans(text: str, *, colons: bool = True) -> list[Span]:
    """Return the spans of credentials in a text, ordered and disjoint.

    Without `colons`, only `=` separates a name from its value: `/session:open` in a URL is a path.
    """
    if len(text) < _LEAST:
        return []
    candidates = sorted([*_shaped(text), *_assigned(text, colons=colons), *_tagged(text), *_parts(text)])
    spans: list[Span] = []
    for start, end in candidates:
        if spans and start < spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        elif text[start:end] != MASK and masked_text(text[start:end]) != text[start:end]:
            spans.append((start, end))
    return spans


@cache
def _pattern(name: str) -> re.Pattern[str]:
    """Compile on first use: few specs have a text that needs one, and each costs start-up time."""
    return re.compile(_PATTERNS[name])


def _shaped(text: str) -> Iterator[Span]:
    if not any(mark in text for mark in _SHAPE_MARKS):
        lower = text.lower()
        if not any(mark in lower for mark in _SCHEME_MARKS):
            return
    for match in _pattern("shape").finditer(text):
        group = match.lastgroup
        yield match.span(group) if group else match.span()


def _assigned(text: str, *, colons: bool) -> Iterator[Span]:
    r"""Find `name=value`, `"name": "value"`, `\"name\": \"value\"`, `name: value`, and nested credentials."""
    if "=" not in text and ":" not in text:
        return
    is_encoded = "%22" in text or "%3D" in text
    position = 0
    while match := _pattern("name").search(text, position):
        position = match.end()
        if match["sign"] == ":" and not colons:
            continue
        name = match["quoted"] or match["bare"]
        if "\\u" in name:
            name = re.sub(r"\\u([0-9a-fA-F]{4})", lambda code: chr(int(code[1], 16)), name)
        is_secret = is_sensitive(name) and text[max(match.start() - 2, 0) : match.start()] != "//"
        if not is_secret and not (is_encoded and match["sign"] == "="):
            continue
        if is_secret and not match["open"] and text[match.end() : match.end() + 1] in ("[", "{"):
            end, leaves = _leaves(text, match.end())
            yield from leaves
            position = max(position, end)
            if leaves:
                continue
        start, end = _value(text, match)
        value = text[start:end]
        if not is_secret:
            if "%" in value and _holds_encoded(value):
                yield start, end
            continue
        position = max(position, end)
        if value and not (not match["open"] and _says_nothing(name, value)):
            yield start, end


def _value(text: str, match: re.Match[str]) -> Span:
    """Return the span of the value after a name, without quotes."""
    start, quote = match.end(), match["open"]
    if quote and quote[0] == "\\":
        end = text.find(quote, start)
        return start, len(text) if end < 0 else end
    value = _pattern(quote or ("=" if match["sign"] == "=" else ":")).match(text, start)
    if value is None:
        return start, start
    return start, value.end() if quote else start + len(value[0].rstrip())


def _says_nothing(name: str, value: str) -> bool:
    return value.lower() in _PLAIN_VALUES or (is_plural(name) and value.isdigit())


def _holds_encoded(value: str) -> bool:
    from urllib.parse import unquote

    decoded = unquote(value)
    return decoded != value and bool(secret_spans(decoded))


def _leaves(text: str, start: int) -> tuple[int, list[Span]]:
    """Return the end of the JSON list or object at `start`, and the span of each text and number in it."""
    try:
        _, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return start, []
    leaves = _pattern("leaf").finditer(text, start, end)
    return end, [leaf.span(2) if leaf[1] is None else leaf.span(1) for leaf in leaves if leaf[1] != ""]


def _tagged(text: str) -> Iterator[Span]:
    """`<password>value</password>`."""
    if "</" in text:
        for match in _pattern("tag").finditer(text):
            if is_sensitive(match[1].rpartition(":")[2]):
                yield match.span(2)


def _parts(text: str) -> Iterator[Span]:
    """Find credentials in parts of a multipart body, and in `{"name": "password", "value": "…"}`."""
    for kind, mark in (("part", "name="), ("pair", '"val')):
        if mark in text:
            for match in _pattern(kind).finditer(text):
                if is_sensitive(match[1]):
                    yield match.span(2)
