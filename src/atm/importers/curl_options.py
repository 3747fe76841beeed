"""The options of curl (curl.se/docs/manpage.html): their short spellings, and which of them take a value."""

from __future__ import annotations

from collections.abc import Iterator

from atm.importers.shell_words import wrong_command

_SHORT = dict(
    pair.split(":")
    for pair in [
        "X:request",
        "H:header",
        "d:data",
        "F:form",
        "u:user",
        "A:user-agent",
        "e:referer",
        "b:cookie",
        "m:max-time",
        "x:proxy",
        "o:output",
        "w:write-out",
        "c:cookie-jar",
        "T:upload-file",
        "E:cert",
        "U:proxy-user",
        "D:dump-header",
        "K:config",
        "r:range",
        "y:speed-time",
        "Y:speed-limit",
        "C:continue-at",
        "z:time-cond",
        "k:insecure",
        "L:location",
        "I:head",
        "G:get",
        "s:silent",
        "S:show-error",
        "v:verbose",
        "i:include",
        "f:fail",
        "g:globoff",
        "N:no-buffer",
        "O:remote-name",
        "J:remote-header-name",
        "R:remote-time",
        "n:netrc",
        "j:junk-session-cookies",
        "#:progress-bar",
        "q:disable",
        "0:http1.0",
        "4:ipv4",
        "6:ipv6",
    ]
)
_WITH_VALUE = frozenset(
    [
        "aws-sigv4",
        "cacert",
        "capath",
        "cert",
        "cert-type",
        "ciphers",
        "config",
        "connect-timeout",
        "connect-to",
        "continue-at",
        "cookie",
        "cookie-jar",
        "data",
        "data-ascii",
        "data-binary",
        "data-raw",
        "data-urlencode",
        "dns-servers",
        "dump-header",
        "expect100-timeout",
        "form",
        "form-string",
        "header",
        "http2-window-size",
        "interface",
        "json",
        "keepalive-time",
        "key",
        "key-type",
        "limit-rate",
        "local-port",
        "max-filesize",
        "max-redirs",
        "max-time",
        "noproxy",
        "oauth2-bearer",
        "output",
        "output-dir",
        "parallel-max",
        "pass",
        "proto",
        "proto-default",
        "proto-redir",
        "proxy",
        "proxy-user",
        "range",
        "rate",
        "referer",
        "request",
        "resolve",
        "retry",
        "retry-delay",
        "retry-max-time",
        "speed-limit",
        "speed-time",
        "stderr",
        "time-cond",
        "tls-max",
        "trace",
        "trace-ascii",
        "unix-socket",
        "upload-file",
        "url",
        "url-query",
        "user",
        "user-agent",
        "variable",
        "write-out",
    ]
)
QUIET = frozenset(
    [
        "compressed-ssh",
        "cookie-jar",
        "create-dirs",
        "disable",
        "dump-header",
        "fail",
        "fail-early",
        "fail-with-body",
        "globoff",
        "include",
        "junk-session-cookies",
        "no-buffer",
        "no-progress-meter",
        "output",
        "output-dir",
        "progress-bar",
        "remote-header-name",
        "remote-name",
        "remote-name-all",
        "remote-time",
        "show-error",
        "silent",
        "stderr",
        "styled-output",
        "trace",
        "trace-ascii",
        "trace-time",
        "verbose",
        "write-out",
    ]
)
"""Options about what curl shows or keeps: nothing is lost without them."""


def options(words: list[str]) -> Iterator[tuple[str, str]]:
    """Options by their long names with their values; a bare word is a URL. Raises SpecError for a missing value."""
    rest = iter(words)
    only_urls = False
    for word in rest:
        if only_urls or not word.startswith("-") or word == "-":
            yield "url", word
        elif word == "--":
            only_urls = True
        elif word.startswith("--"):
            option, equals, value = word[2:].partition("=")
            if option in _WITH_VALUE:
                yield option, value if equals else _value(rest, word)
            else:
                yield option, ""
        else:
            yield from _short_options(word, rest)


def _short_options(word: str, rest: Iterator[str]) -> Iterator[tuple[str, str]]:
    for position, letter in enumerate(word[1:], start=1):
        option = _SHORT.get(letter, letter)
        if option in _WITH_VALUE:
            glued = word[position + 1 :]
            yield option, glued or _value(rest, f"-{letter}")
            return
        yield option, ""


def _value(rest: Iterator[str], option: str) -> str:
    value = next(rest, None)
    if value is None:
        raise wrong_command(f"{option} needs a value, and the command ends there", "missing_value")
    return value
