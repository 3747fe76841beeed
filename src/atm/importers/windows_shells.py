"""Parse command lines like Windows' `cmd` and PowerShell, as far as pasted curl commands need it.

Sources: Microsoft's "Parsing C command-line arguments" (backslashes and doubled quotes), `cmd /?` (the caret), and
about_Quoting_Rules and about_Special_Characters of PowerShell.
"""

from __future__ import annotations

import re

from atm.importers.command_line import Command, CommandLine, refuse_surrogates, variable, wrong_command

_CMD_VARIABLE = re.compile(r"%([A-Za-z_][A-Za-z0-9_]*)%")
_HEX_PAIR = re.compile(r"[0-9A-Fa-f]{2}")
_DOUBLED = re.compile(r'(?<=[^\s"])""(?=[^\s"])')
_POWERSHELL_CONTINUED = re.compile(r"`[ \t]*\r?\n")
_POWERSHELL_PLAIN = re.compile(r"[^\s'\"`$;|&@]+")
_POWERSHELL_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "0": "\0", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_POWERSHELL_VARIABLE = re.compile(r"\$(?:env:([A-Za-z_]\w*)|\{env:([A-Za-z_]\w*)\}|([A-Za-z_]\w*))", re.IGNORECASE)


def is_cmd(text: str) -> bool:
    """Return whether the text is written for `cmd`: the first quote follows a caret, a line ends in one, or quotes are
    doubled inside quotes (`"{""a"": 1}"`)."""
    first = re.search(r"['\"]", text)
    if first and first[0] == '"' and text[: first.start()].endswith("^"):
        return True
    if re.search(r"\^[ \t]*\r?\n", text):
        return True
    return first is not None and first[0] == '"' and "'" not in text and _DOUBLED.search(text) is not None


def is_powershell(text: str) -> bool:
    """Return whether the text is written for PowerShell: a line ends in a backtick, or it has `$env:NAME`."""
    return bool(re.search(r" `[ \t]*\r?\n", text) or re.search(r"\$\{?env:\w", text, re.IGNORECASE))


def parse_cmd(text: str) -> CommandLine:
    """Parse the commands of a text for `cmd`. Raises SpecError."""
    refuse_surrogates(text)
    line = CommandLine(notes=["parsed as a command of Windows' cmd"])
    for command in _cmd_commands(text):
        words = _arguments(command)
        if words:
            line.commands.append(Command(words))
    return line


def _cmd_commands(text: str) -> list[str]:
    """Split commands as `cmd` passes them to programs: carets and operators are interpreted, quotes remain."""
    commands: list[str] = []
    parts: list[str] = []
    in_quotes = False
    position = 0
    while position < len(text):
        character = text[position]
        if character == "^" and not in_quotes:
            continued = re.compile(r"\^[ \t]*\r?\n").match(text, position)
            # A caret removes the following line feed; Chrome writes a second one for a line feed in the body.
            position = continued.end() if continued else position + 1
            escaped = text[position : position + 1]
            if not continued or escaped in ("\n", "\r"):
                parts.append("\n" if escaped == "\r" else escaped)
                position += 2 if text.startswith("\r\n", position) else 1
        elif character == "%" and (match := _CMD_VARIABLE.match(text, position)) and not _HEX_PAIR.fullmatch(match[1]):
            parts.append(variable(match[1]))
            position = match.end()
        elif not in_quotes and character in "&|\n":
            commands.append("".join(parts))
            parts = []
            position += 1
        else:
            in_quotes = in_quotes != (character == '"')
            parts.append(character)
            position += 1
    return [*commands, "".join(parts)]


def _arguments(command: str) -> list[str]:
    """Split the arguments of a command line as C programs on Windows do."""
    words: list[str] = []
    word: list[str] | None = None
    in_quotes = False
    position = 0
    while position < len(command):
        character = command[position]
        if character == "\\" or character == '"':
            run = re.compile(r"\\*").match(command, position)
            assert run is not None
            slashes = len(run[0])
            position = run.end()
            word = word or []
            if command[position : position + 1] != '"':
                word.append("\\" * slashes)
                continue
            word.append("\\" * (slashes // 2))
            if slashes % 2 or (in_quotes and command.startswith('""', position)):
                word.append('"')
                position += 1 if slashes % 2 else 2
            else:
                in_quotes = not in_quotes
                position += 1
        elif character.isspace() and not in_quotes:
            if word is not None:
                words.append("".join(word))
            word = None
            position += 1
        else:
            plain = re.compile(r'[^\\"]' if in_quotes else r'[^\\"\s]').match(command, position)
            assert plain is not None
            word = word or []
            word.append(plain[0])
            position = plain.end()
    if in_quotes:
        raise wrong_command('a quote " is never closed', "bad_quotes", "Paste the whole command")
    return [*words, "".join(word)] if word is not None else words


def parse_powershell(text: str) -> CommandLine:
    """Parse the commands of a text for PowerShell. Raises SpecError."""
    refuse_surrogates(text)
    line = CommandLine(notes=["parsed as a command of PowerShell"])
    for words in _powershell_commands(text):
        if words:
            # Windows PowerShell does not escape quotes for programs, so users escape them for C.
            line.commands.append(Command([word.replace('\\"', '"') for word in words]))
    return line


def _powershell_commands(text: str) -> list[list[str]]:
    commands: list[list[str]] = [[]]
    word: list[str] | None = None
    position = 0
    while position < len(text):
        character = text[position]
        if character.isspace() or character in ";|&":
            if word is not None:
                commands[-1].append("".join(word))
            word = None
            if character in ";|&\n":
                commands.append([])
            position += 1
            continue
        continued = _POWERSHELL_CONTINUED.match(text, position)
        if continued:
            position = continued.end()
            continue
        part, position = _powershell_part(text, position)
        word = word or []
        word.append(part)
    if word is not None:
        commands[-1].append("".join(word))
    return commands


def _powershell_part(text: str, position: int) -> tuple[str, int]:
    """Return a piece of a word, and the position after it."""
    character = text[position]
    if text.startswith(('@"', "@'"), position):
        raise wrong_command("PowerShell here-strings are not supported", "bad_quotes", "Put the text in quotes")
    if character in "'\"":
        return _powershell_quoted(text, position)
    if character == "`":
        return text[position + 1 : position + 2], position + 2
    if character == "$" and (match := _POWERSHELL_VARIABLE.match(text, position)):
        return variable(match[1] or match[2] or match[3]), match.end()
    plain = _POWERSHELL_PLAIN.match(text, position)
    return (plain[0], plain.end()) if plain else (character, position + 1)


def _powershell_quoted(text: str, start: int) -> tuple[str, int]:
    """Return the text of a quoted string, and the position after it."""
    mark = text[start]
    parts: list[str] = []
    position = start + 1
    while position < len(text):
        character = text[position]
        if text.startswith(mark * 2, position):
            parts.append(mark)
            position += 2
        elif character == mark:
            return "".join(parts), position + 1
        elif mark == '"' and character == "`":
            escaped = text[position + 1 : position + 2]
            parts.append(_POWERSHELL_ESCAPES.get(escaped, escaped))
            position += 2
        elif mark == '"' and character == "$" and (match := _POWERSHELL_VARIABLE.match(text, position)):
            parts.append(variable(match[1] or match[2] or match[3]))
            position = match.end()
        else:
            parts.append(character)
            position += 1
    raise wrong_command(f"a quote {mark} is not closed", "bad_quotes", "Paste the whole command")
