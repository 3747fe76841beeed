"""Names of keys: one spelling for each, none that looks like another, none that stands for something else. Pure."""

from __future__ import annotations

import unicodedata

LONGEST = 128
RESERVED = frozenset(
    {
        *("local", "server", "schedule", "scheduler", "agent", "mcp", "shell", "system", "atm", "anonymous", "nobody"),
        *("unknown", "environment", "everyone", "api_test_machine_api_key"),
    }
)
"""What the audit log and `GET /session` call others than keys."""
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
    """The one spelling of this name: NFKC, single blanks, none around it. Raises ValueError, whose text says why.

    Letters are ASCII, or of one script. Composed letters as é count as their base.
    """
    normal = unicodedata.normalize("NFKC", text)
    name = " ".join(normal.split())
    if not 1 <= len(name) <= LONGEST or not normal.isprintable():
        raise ValueError(f"a name has 1 to {LONGEST} printable characters")
    scripts = {_script(character) for character in name if unicodedata.category(character)[0] in "LM"}
    if len(scripts - {""}) > 1:
        raise ValueError("a name has the letters of one alphabet: mixed ones look like other names")
    if scripts - {"", "LATIN"} and look_of(name).isascii():
        raise ValueError("this name looks like one in Latin letters: use those")
    if name.casefold() in RESERVED or look_of(name) in _RESERVED_LOOKS:
        raise ValueError(f"{name!r} stands for something else in the audit log: choose another name")
    return name


def look_of(name: str) -> str:
    """What two names that a person could take for each other have in common: no case, accents, blanks, or look-alikes.

    After the idea of a skeleton in Unicode's UTS 39, with the letters that keys are named with.
    """
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    letters = (_LOOK_LIKE.get(each, each) for each in plain if unicodedata.category(each)[0] not in "MZCP")
    return "".join(letters).replace("rn", "m").replace("vv", "w").replace("cl", "d")


def _script(character: str) -> str:
    """The alphabet of a letter, as the Unicode name of it begins; empty for marks that belong to any."""
    first = unicodedata.name(character, "").partition(" ")[0]
    return "" if first in ("COMBINING", "MODIFIER") else first


_RESERVED_LOOKS = frozenset(look_of(name) for name in RESERVED)
