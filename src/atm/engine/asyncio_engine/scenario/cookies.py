"""The cookie jar of a user (RFC 6265, section 5), with limits.

Python's `http.cookiejar` implements the older Netscape rules and RFC 2965, works on request objects of `urllib`, sorts
and quotes differently and has no limits; aiohttp's and httpx's jars are parts of those clients, the latter on top of
`http.cookiejar`. Both engines need the same jar, so it is written twice and held to the same cases.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from atm.dataclass import dataclass

MOST_COOKIES = 50
"""In one jar; after the expired ones, the oldest goes."""
MOST_BYTES = 4096
"""Of name and value together; a larger cookie is ignored."""
MOST_ATTRIBUTE_BYTES = 1024
"""An attribute with a longer value is ignored, as in browsers; a path would fill the memory of many users."""

_SPACE = " \t"
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_MAX_AGE = re.compile(r"-?[0-9]+")
_ADDRESS = re.compile(r"[0-9.]+|.*:.*")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ALREADY = -(10**15)
_NEVER = 10**15
"""Seconds, beyond all dates."""
_MOST_DIGITS = 15


@dataclass(slots=True)
class _Cookie:
    """A stored cookie. Its place in the jar is its age."""

    name: str
    value: str
    domain: str
    path: str
    is_host_only: bool
    is_secure: bool
    ends_s: int


class Jar:
    """Cookies in the order of their creation. Times are s since 1970; a character of a header is one byte."""

    def __init__(self) -> None:
        self.cookies: dict[tuple[str, str, str], _Cookie] = {}
        """By name, domain and path."""

    def __len__(self) -> int:
        return len(self.cookies)

    def store(self, set_cookie: str, *, host: str, path: str, now_s: int) -> None:
        """Store the cookie of a Set-Cookie line, or ignore it.

        `host` is the host that sent it, without the port and without the brackets of an IPv6 address, `path` the
        path of the request without the query.
        """
        cookie = _parsed(set_cookie, host.lower(), path, now_s)
        if cookie is None:
            return
        key = (cookie.name, cookie.domain, cookie.path)
        if cookie.ends_s <= now_s:
            self.cookies.pop(key, None)
            return
        old = self.cookies.get(key)
        if old is not None and old.ends_s <= now_s:
            del self.cookies[key]
        # An existing key keeps its place, which is the age of the cookie.
        self.cookies[key] = cookie
        if len(self.cookies) > MOST_COOKIES:
            self._remove_expired(now_s)
            if len(self.cookies) > MOST_COOKIES:
                del self.cookies[next(iter(self.cookies))]

    def header(self, *, host: str, path: str, is_https: bool, now_s: int) -> str:
        """Return the value of the Cookie header for a request, empty if there is no cookie for it."""
        if not self.cookies:
            return ""
        host, path = host.lower(), path or "/"
        selected = [cookie for cookie in self.cookies.values() if _is_for(cookie, host, path, is_https, now_s)]
        # The sort is stable, so that older ones stay first among paths of one length.
        selected.sort(key=lambda cookie: -len(cookie.path))
        return "; ".join([f"{cookie.name}={cookie.value}" for cookie in selected])

    def named(self) -> dict[str, str]:
        """Return name and value of each cookie; of one name, the newest."""
        return {cookie.name: cookie.value for cookie in self.cookies.values()}

    def remove(self, name: str) -> None:
        """Forget the cookies of a name."""
        self.cookies = {key: cookie for key, cookie in self.cookies.items() if cookie.name != name}

    def clear(self) -> None:
        """Forget all cookies."""
        self.cookies.clear()

    def _remove_expired(self, now_s: int) -> None:
        self.cookies = {key: cookie for key, cookie in self.cookies.items() if cookie.ends_s > now_s}


def _is_for(cookie: _Cookie, host: str, path: str, is_https: bool, now_s: int) -> bool:
    return (
        (host == cookie.domain or (not cookie.is_host_only and _domain_matches(host, cookie.domain)))
        and _path_matches(path, cookie.path)
        and (is_https or not cookie.is_secure)
        and cookie.ends_s > now_s
    )


def _parsed(line: str, host: str, path: str, now_s: int) -> _Cookie | None:
    """Parse a Set-Cookie line (5.2) and apply it to the host that sent it (5.3, up to step 10)."""
    if _CONTROL.search(line):
        return None
    pair = name_and_value(line)
    if pair is None or len(pair[0]) + len(pair[1]) > MOST_BYTES:
        return None
    name, value = pair
    attributes = dict(_attributes(line.split(";")[1:]))

    domain, is_host_only = host, True
    wanted = attributes.get("domain", "")
    if wanted and wanted != host:
        if "." not in wanted or not _domain_matches(host, wanted):
            return None
        domain, is_host_only = wanted, False
    elif wanted and "." in wanted:
        is_host_only = False
    return _Cookie(
        name,
        value,
        domain,
        attributes.get("path") or _default_path(path),
        is_host_only,
        "secure" in attributes,
        _end(attributes, now_s),
    )


def name_and_value(line: str) -> tuple[str, str] | None:
    """Return name and value of a Set-Cookie line; None without a name."""
    name, equals_sign, value = line.partition(";")[0].partition("=")
    name = name.strip(_SPACE)
    return (name, value.strip(_SPACE)) if equals_sign and name else None


def _attributes(attributes: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the attributes that count, by lower-case name; of several, the last counts."""
    for attribute in attributes:
        name, _, value = attribute.partition("=")
        name, value = name.strip(_SPACE).lower(), value.strip(_SPACE)
        if len(value) > MOST_ATTRIBUTE_BYTES:
            continue
        if name == "path":
            yield name, value if value.startswith("/") else ""
        elif name == "domain":
            if value:
                yield name, value.removeprefix(".").lower()
        elif name == "max-age":
            if _MAX_AGE.fullmatch(value):
                yield name, value
        elif name == "expires":
            if cookie_date(value) is not None:
                yield name, value
        elif name == "secure":
            yield name, value


def _end(attributes: dict[str, str], now_s: int) -> int:
    max_age = attributes.get("max-age")
    if max_age is not None:
        if max_age.startswith("-") or not max_age.strip("0"):
            return _ALREADY
        return _NEVER if len(max_age.lstrip("0")) > _MOST_DIGITS else now_s + int(max_age)
    expires = cookie_date(attributes["expires"]) if "expires" in attributes else None
    return _NEVER if expires is None else expires


def _domain_matches(host: str, domain: str) -> bool:
    """Return whether a host belongs to a domain (5.1.3); both are lower-case."""
    return host == domain or (bool(domain) and host.endswith(f".{domain}") and not _ADDRESS.fullmatch(host))


def _path_matches(path: str, cookie_path: str) -> bool:
    """Return whether a path of a request belongs to the path of a cookie (5.1.4)."""
    return path == cookie_path or (
        path.startswith(cookie_path) and (cookie_path.endswith("/") or path[len(cookie_path)] == "/")
    )


def _default_path(path: str) -> str:
    """Return the directory of a path (5.1.4)."""
    return (path.rpartition("/")[0] or "/") if path.startswith("/") else "/"


_DELIMITERS = re.compile(r"[\t\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?![0-9])")
_DAY = re.compile(r"([0-9]{1,2})(?![0-9])")
_YEAR = re.compile(r"([0-9]{2,4})(?![0-9])")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def cookie_date(text: str) -> int | None:
    """Parse a date (5.1.1) to s since 1970; None if it is none."""
    time = day = month = year = None
    for token in _DELIMITERS.split(text):
        if time is None and (match := _TIME.match(token)):
            time = tuple(map(int, match.groups()))
        elif day is None and (match := _DAY.match(token)):
            day = int(match[1])
        elif month is None and token[:3].lower() in _MONTHS:
            month = _MONTHS.index(token[:3].lower()) + 1
        elif year is None and (match := _YEAR.match(token)):
            year = int(match[1])
    if time is None or day is None or month is None or year is None:
        return None
    year += 1900 if 70 <= year <= 99 else 2000 if year <= 69 else 0
    hour, minute, second = time
    if year < 1601:
        return None
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return (moment - _EPOCH) // timedelta(seconds=1)
