"""Parse a command line like a POSIX shell (with bash's common extensions): words, operators, redirections.

Nothing is executed. A variable set by the text is expanded; any other becomes a mark (`command_line.variable`).
Constructs that need a running shell (`$(…)`, `$1`, loops) are errors that name them. The grammar is that of
POSIX.1-2017, XCU chapter 2, and of bash's manual for `$'…'`, `<<<` and `&>`.
"""

from __future__ import annotations

import re

from atm.importers.command_line import NAME, Command, CommandLine, refuse_surrogates, variable, wrong_command

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "e": "\x1b", "E": "\x1b"}
_ANSI = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|u[0-9A-Fa-f]{1,4}|U[0-9A-Fa-f]{1,8}|[0-7]{1,3}|c.|.)", re.DOTALL)
_PLAIN = re.compile(r"[^\s'\"\\$`;&|<>()#“”‘’]+")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_SCRIPT = frozenset({"for", "while", "until", "if", "case", "function", "select", "do", "done", "then", "fi", "esac"})
_SPACES = " \t\r\xa0\0"


def parse(text: str) -> CommandLine:
    """Return the commands of `text`. Raises SpecError if only a running shell could expand them."""
    refuse_surrogates(text)
    return _Parser(text).parse()


class _Parser:
    """A single pass over the text; `_position` only moves forward."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._line = CommandLine()
        self._command = Command()
        self._word: list[str] | None = None
        self._assigned: dict[str, str] = {}
        self._piped: str | None = None
        self._documents: list[tuple[str, bool, bool]] = []

    def parse(self) -> CommandLine:
        text = self._text
        while self._position < len(text):
            plain = _PLAIN.match(text, self._position)
            if plain:
                self._add(plain[0])
                self._position = plain.end()
            else:
                self._special(text[self._position])
        if self._documents:
            raise _never_closed(self._documents[0][0])
        self._end_command("")
        return self._line

    def _special(self, character: str) -> None:
        if character == "\n":
            self._end_line()
        elif character.isspace() or character == "\0":
            self._end_word()
            self._position += 1
        elif character == "#":
            self._comment()
        elif character == "\\":
            self._backslash()
        elif character in "'\"":
            self._add(self._quoted(character))
        elif character == "$":
            self._dollar(quoted=False)
        elif character == "`":
            raise _only_a_shell("`…`")
        elif character in "“”‘’":
            what = f"the command has typographic quotes ({character}), which shells do not recognise"
            raise wrong_command(what, "bad_quotes", "Replace them with ' or \"")
        elif character in "<>":
            self._redirection()
        else:
            self._operator(character)

    def _add(self, text: str) -> None:
        if self._word is None:
            self._word = []
        self._word.append(text)

    def _end_word(self) -> None:
        if self._word is not None:
            self._command.words.append("".join(self._word))
            self._word = None

    # Commands and separators

    def _operator(self, character: str) -> None:
        text, start = self._text, self._position
        if text.startswith("&>", start):
            self._end_word()
            self._redirection()
            return
        double = text.startswith(character * 2, start) and character in "&|;"
        self._position += 2 if double or text.startswith("|&", start) else 1
        glued = start > 0 and not text[start - 1].isspace() and text[self._position : self._position + 1].strip()
        if character == "&" and not double and glued and "://" in "".join(self._word or ()):
            self._line.notes.append("`&` ends the command: if it belongs to the URL, put the URL in quotes")
        self._end_command("|" if character == "|" and not double else character)

    def _end_command(self, operator: str) -> None:
        self._end_word()
        command, self._command = self._command, Command()
        if self._piped is not None and command.stdin is None:
            command.stdin = self._piped
        self._piped = None
        words = command.words
        while words and words[0] in ("{", "}", "!"):
            del words[0]
        if words and words[0] in _SCRIPT:
            what = f"the text is a script (`{words[0]}`), but only commands are supported"
            raise wrong_command(what, "not_a_command", "Paste the curl command itself; the load repeats it")
        assignments = [_ASSIGNMENT.fullmatch(word) for word in (words[1:] if words[:1] == ["export"] else words)]
        if words and all(assignments):
            self._assigned.update({match[1]: match[2] for match in assignments if match})
            return
        if operator == "|" and words and words[0] in ("echo", "printf"):
            self._piped = _echoed(words)
            return
        if words:
            self._line.commands.append(command)

    def _end_line(self) -> None:
        self._position += 1
        # A here-document starts on the next line, so its command must be complete first.
        self._end_word()
        for delimiter, strips_tabs, literal in self._documents:
            self._command.stdin = self._document(delimiter, strips_tabs, literal)
        self._documents = []
        self._end_command("\n")
        rest = self._text[self._position : self._position + 200].lstrip(_SPACES)
        if self._line.commands and re.match(r"--?[A-Za-z#:]", rest):
            what = f"a line starts with an option: {rest.split(None, 1)[0][:40]}"
            hint = "End the previous line with a backslash, or put the command on one line"
            raise wrong_command(what, "broken_line", hint)

    def _comment(self) -> None:
        if self._word is not None:
            self._add("#")
            self._position += 1
            return
        end = self._text.find("\n", self._position)
        self._position = len(self._text) if end < 0 else end

    # Redirections

    def _redirection(self) -> None:
        text = self._text
        if self._word is not None and "".join(self._word).isdigit():
            self._word = None  # a file descriptor number
        self._end_word()
        match = re.compile(r"<<<|<<-?|<&|<>|<|&>>?|>>|>\||>&|>").match(text, self._position)
        assert match is not None
        if text.startswith("(", match.end()):
            raise _only_a_shell(f"{match[0]}(…)")
        self._position = match.end()
        target, literal = self._redirection_target()
        if match[0] == "<<<":
            self._command.stdin = f"{target}\n"
        elif match[0].startswith("<<"):
            self._documents.append((target, match[0] == "<<-", literal))
        elif match[0] == "<":
            self._command.stdin = None
            self._line.notes.append(f"the file {target[:60]!r} is not read")

    def _redirection_target(self) -> tuple[str, bool]:
        """Return the word after a redirection, and whether a part of it was quoted."""
        text = self._text
        while text[self._position : self._position + 1] in (" ", "\t"):
            self._position += 1
        start = self._position
        pieces: list[str] = []
        outer, self._word = self._word, pieces
        while self._position < len(text) and text[self._position] not in " \t\r\n;&|<>()":
            plain = _PLAIN.match(text, self._position)
            if plain:
                self._add(plain[0])
                self._position = plain.end()
            else:
                self._special(text[self._position])
        self._word = outer
        return "".join(pieces), any(mark in text[start : self._position] for mark in "'\"\\")

    def _document(self, delimiter: str, strips_tabs: bool, literal: bool) -> str:
        lines: list[str] = []
        while self._position < len(self._text):
            end = self._text.find("\n", self._position)
            end = len(self._text) if end < 0 else end
            line = self._text[self._position : end].rstrip("\r")
            self._position = min(end + 1, len(self._text))
            line = line.lstrip("\t") if strips_tabs else line
            if line == delimiter:
                body = "".join(f"{line}\n" for line in lines)
                return body if literal else self._expanded(body)
            lines.append(line)
        raise wrong_command(f"the here-document is not closed by {delimiter}", "bad_quotes", "Paste all of it")

    def _expanded(self, body: str) -> str:
        """Read a here-document with an unquoted delimiter: variables and backslashes as in double quotes."""
        inner = _Parser(body)
        inner._assigned = self._assigned
        return inner._double_quoted(end="")

    # Quotes and expansions

    def _backslash(self) -> None:
        text = self._text
        continued = re.compile(r"\\([ \t]*)\r?\n").match(text, self._position)
        if continued:
            if continued[1]:
                self._line.notes.append("spaces after a backslash at the end of a line are ignored")
                self._end_word()
            self._position = continued.end()
            return
        self._add(text[self._position + 1 : self._position + 2])
        self._position += 2

    def _quoted(self, mark: str) -> str:
        self._position += 1
        if mark == '"':
            return self._double_quoted(end='"')
        end = self._text.find("'", self._position)
        if end < 0:
            raise _never_closed("'")
        inside = self._text[self._position : end]
        self._position = end + 1
        return inside

    def _double_quoted(self, end: str) -> str:
        text, parts = self._text, []
        outer, self._word = self._word, None
        stops = re.compile(r"[^\\$`\"]+" if end else r"[^\\$`]+")
        while self._position < len(text):
            plain = stops.match(text, self._position)
            if plain:
                parts.append(plain[0])
                self._position = plain.end()
            elif text[self._position] == end:
                self._position += 1
                self._word = outer
                return "".join(parts)
            elif text[self._position] == "$":
                self._word = []
                self._dollar(quoted=True)
                parts += self._word
            elif text[self._position] == "`":
                raise _only_a_shell("`…`")
            else:
                parts.append(self._escaped_in_quotes())
        if end:
            raise _never_closed(end)
        self._word = outer
        return "".join(parts)

    def _escaped_in_quotes(self) -> str:
        match = re.compile(r"\\(\r?\n|[\"\\$`])?").match(self._text, self._position)
        assert match is not None
        self._position = match.end()
        return "\\" if match[1] is None else "" if match[1].endswith("\n") else match[1]

    def _dollar(self, *, quoted: bool) -> None:
        text, start = self._text, self._position
        following = text[start + 1 : start + 2]
        if following == "'" and not quoted:
            self._add(self._ansi_quoted())
        elif following == '"' and not quoted:
            self._position += 1
        elif following == "(":
            raise _only_a_shell("$(…)")
        elif name := NAME.match(text, start + 1):
            self._position = name.end()
            self._expand(name[0])
        elif following == "{":
            close = text.find("}", start)
            inner = text[start + 2 : close] if close > 0 else ""
            if not NAME.fullmatch(inner):
                raise _only_a_shell(f"${{{inner[:40]}}}")
            self._position = close + 1
            self._expand(inner)
        elif following and following in "0123456789@*#?!$-":
            raise _only_a_shell(f"${following}")
        else:
            self._add("$")
            self._position += 1

    def _expand(self, name: str) -> None:
        self._add(self._assigned.get(name, variable(name)))

    def _ansi_quoted(self) -> str:
        """Read `$'…'`: escapes are characters or bytes, which together must be UTF-8."""
        text, start = self._text, self._position + 2
        end = start
        while end < len(text) and text[end] != "'":
            end += 2 if text[end] == "\\" else 1
        if end >= len(text):
            raise _never_closed("'")
        self._position = end + 1
        written = bytearray()
        last = 0
        inside = text[start:end]
        for match in _ANSI.finditer(inside):
            written += inside[last : match.start()].encode()
            written += _escape(match[1])
            last = match.end()
        written += inside[last:].encode()
        try:
            # Escapes of two surrogates, as JavaScript writes a character beyond U+FFFF, form one character.
            joined = written.decode("utf-8", "surrogatepass").encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            what = "$'…' contains bytes that are not UTF-8 text"
            raise wrong_command(what, "bad_text", "Bodies and headers must be text in a spec") from None
        return joined.partition("\0")[0]


def _escape(text: str) -> bytes:
    if text[0] in "uU" and len(text) > 1:
        code = int(text[1:], 16)
        return chr(min(code, 0x10FFFF)).encode("utf-8", "surrogatepass")
    if text[0] == "x" and len(text) > 1:
        return bytes([int(text[1:], 16)])
    if text[0] in "01234567":
        return bytes([int(text, 8) & 0xFF])
    if text[0] == "c" and len(text) > 1:
        return bytes([ord(text[1]) & 0x1F])
    escaped = _ESCAPES.get(text)
    return escaped.encode() if escaped is not None else text.encode() if text in "\\'\"?" else f"\\{text}".encode()


def _echoed(words: list[str]) -> str:
    """Return the output of `echo`, or of `printf` with plain text."""
    arguments = words[1:]
    newline = "\n" if words[0] == "echo" else ""
    while words[0] == "echo" and arguments and re.fullmatch(r"-[neE]+", arguments[0]):
        newline = "" if "n" in arguments[0] else newline
        arguments = arguments[1:]
    return " ".join(arguments) + newline


def _never_closed(mark: str) -> Exception:
    return wrong_command(f"a quote {mark} is not closed", "bad_quotes", "Paste the whole command")


def _only_a_shell(what: str) -> Exception:
    hint = "Insert its value, or a variable such as $TOKEN, which becomes {{env:TOKEN}}"
    return wrong_command(f"the command holds {what}, which only a running shell can expand", "needs_a_shell", hint)
