"""Normalise and validate key names: canonical spelling, no look-alikes, no reserved names. Pure."""

from __future__ import annotations

import unicodedata

LONGEST = 128
RESERVED = frozenset(
    {
        *("local", "server", "schedule", "scheduler", "agent", "mcp", "shell", "system", "atm", "anonymous", "nobody"),
        *("unknown", "environment", "everyone", "api_test_machine_api_key"),
    }
)
"""Names that the audit log and `GET /session` use for actors other than keys."""
_LOOK_LIKE = {
    **dict(zip("авекмнорстухіјѕһԁԛԝӏьгґз", "abekmhopctyxijshdqwlbrr3", strict=True)),
    **dict(zip("αβγδεζηικμνορτυχω", "abydezniкuvoptuxw".replace("к", "k"), strict=True)),
    **dict(zip("օոսհցզյլ", "onuhgqjl", strict=True)),
    **dict(zip("01|!$5", "olllss", strict=True)),
    "ı": "l",
    "i": "l",
    "ß": "b",
    "æ": "ae",
    "œ": "oe",
    "ø": "o",
    "đ": "d",
    "ł": "l",
}


def key_name(text: str) -> str:
    """Return the canonical spelling of a name: NFKC, single spaces, trimmed. Raises ValueError with the reason.

    All letters must be of one script. A composed letter such as é belongs to the script of its base.
    """
    normal = unicodedata.normalize("NFKC", text)
    name = " ".join(normal.split())
    if not 1 <= len(name) <= LONGEST or not normal.isprintable():
        raise ValueError(f"a name has 1 to {LONGEST} printable characters")
    scripts = {_script(character) for character in name if unicodedata.category(character)[0] in "LM"}
    if len(scripts - {""}) > 1:
        raise ValueError("a name must use the letters of one alphabet: mixed ones can look like other names")
    if scripts - {"", "LATIN"} and look_of(name).isascii():
        raise ValueError("this name looks like one in Latin letters: write it in Latin letters")
    if name.casefold() in RESERVED or look_of(name) in _RESERVED_LOOKS:
        raise ValueError(f"{name!r} has another meaning in the audit log: choose another name")
    return name


def look_of(name: str) -> str:
    """Return a key that is equal for names that look alike: without case, accents, spaces and look-alike letters.

    Modelled on the skeleton of Unicode UTS 39, reduced to the letters that are common in key names.
    """
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    letters = (_LOOK_LIKE.get(letter, letter) for letter in plain if unicodedata.category(letter)[0] not in "MZCP")
    return "".join(letters).replace("rn", "m").replace("vv", "w").replace("cl", "d")


def _script(character: str) -> str:
    """Return the script of a letter, the first word of its Unicode name; empty for marks that belong to any script."""
    first = unicodedata.name(character, "").partition(" ")[0]
    return "" if first in ("COMBINING", "MODIFIER") else first


_RESERVED_LOOKS = frozenset(look_of(name) for name in RESERVED)
