"""One dialect of regular expressions: what a check finds does not depend on the engine that looks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.engine.base import Capability, Engine
from atm.models.outcome import Outcome
from atm.plan.connections import Origin
from atm.plan.load_plan import BodyCheck
from atm.plan.patterns import PatternError, compiled
from tests.contract.engine_runs import run
from tests.contract.engines import ENGINES
from tests.contract.plans import plan, step
from tests.examples import examples

CASES: Mapping[str, tuple[str, str]] = {
    # pattern: a text that it matches, and one that it does not
    r"^\d+$": ("42", "٤٢"),
    r"\bword\b": ("a word.", "swords"),
    r"^\w$": ("_", "é"),
    r"^[[&&x]+$": ("[&x", "y"),
    r"^a{,2}$": ("a{,2}", "aa"),
    r"^a{2}$": ("aa", "a{2}"),
    r"^(?i:ß|K)$": ("ß", "S"),
    r"^[^a]$": ("\n", "a"),
    r"^.$": ("é", "\n"),
    r"(?m)^b$": ("a\nb\nc", "ab"),
    r"^a$": ("a", "a\n"),
    r"^\p{Greek}\PL$": ("α1", "aα"),
    r"^[\w.-]+@[[:alpha:]]+$": ("a.b-c@de", "é@de"),
    r"^(?P<n>a)(?<m>b)\x{63}\z": ("abc", "abcd"),
    r"^(a+)+$": ("aaaa", "a" * 5000 + "!"),
}


@pytest.fixture(scope="module")
def mirror() -> Iterator[Origin]:
    with subprocess.Popen([sys.executable, "-m", "tests.contract.mirror"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        yield Origin("http", "127.0.0.1", int(server.stdout.readline()), addresses=("127.0.0.1",))
        server.kill()


def outcomes(engine: Engine, mirror: Origin, tried: list[tuple[str, str]]) -> list[bool]:
    """Whether each pattern is found in its text, sent back by the server."""
    steps = [step(method="POST", body=text, checks=(BodyCheck("regex", pattern),)) for pattern, text in tried]
    ran = run(engine, plan(mirror, *steps, total=len(steps)))
    assert ran.total().started == len(steps)
    return [ran.total(index).outcomes == {Outcome.OK: 1} for index in range(len(steps))]


@pytest.mark.needs(Capability.BODY_CHECKS)
def test_a_pattern_finds_what_the_reference_says(engine: Engine, mirror: Origin) -> None:
    tried = [(pattern, text) for pattern, texts in CASES.items() for text in texts]
    assert outcomes(engine, mirror, tried) == [True, False] * len(CASES)


ATOMS = st.one_of(
    st.sampled_from("abéKſ1_- .{]^$"),
    st.sampled_from([r"\n", r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", r"\b", r"\B", r"\A", r"\z", r"\.", r"\<"]),
    st.sampled_from([r"\x41", r"\x{e9}", r"\pL", r"\p{Greek}", r"\P{Lu}", "(?i)", "(?s)", "(?m)", "(?U)", "(?i:k)"]),
    st.sampled_from(["[ab]", "[^ab]", "[a-c1]", r"[\d_]", r"[^\w]", r"[\W1]", "[[:digit:]]", "[[:^alpha:]]", "[]a]"]),
    st.sampled_from(["[a&&b]", "[[x]", "[-a]"]),
)
QUANTIFIERS = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,}", "{0,2}", "*?", "+?", "{,2}", "{02}"])
PATTERNS = st.recursive(
    st.tuples(ATOMS, QUANTIFIERS).map("".join),
    lambda inside: st.one_of(
        st.lists(inside, min_size=1, max_size=4).map("".join),
        st.tuples(inside, inside).map("|".join),
        st.tuples(inside, QUANTIFIERS).map(lambda pair: f"({pair[0]}){pair[1]}"),
        st.tuples(inside, QUANTIFIERS).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
    ),
    max_leaves=8,
)
TEXTS = st.text(st.sampled_from("abcABKkKſs1_- \n.é{}[]&<αΑ٤!"), max_size=12)


def usable(pattern: str) -> bool:
    try:
        compiled(pattern)
    except PatternError:
        return False
    return True


@pytest.mark.skipif(
    "native" not in ENGINES, reason="the native engine is not built here, so there is nothing to compare"
)
@given(st.lists(st.tuples(PATTERNS.filter(usable), TEXTS), min_size=1, max_size=12))
@examples(100)
def test_both_engines_find_the_same(mirror: Origin, tried: list[tuple[str, str]]) -> None:
    native, python = (outcomes(ENGINES[name](), mirror, tried) for name in ("native", "asyncio"))
    assert [case for case, one, other in zip(tried, native, python, strict=True) if one != other] == []
