"""Names of credentials."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.plan.secret_names import is_sensitive, is_sensitive_header


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "X-Auth-Key",
        "clientSecret",
        "db.password",
        "password_confirmation",
        "token2",
        "token ²",
        "pin٣",
        "a-jwt-v2",
    ],
)
def test_names_of_credentials(name: str) -> None:
    assert is_sensitive(name)


@pytest.mark.parametrize("name", ["name", "cacheKey", "row_key", "count ²", "page٣", "a 1 2 3", "²", "x v v v", ""])
def test_other_names(name: str) -> None:
    assert not is_sensitive(name)


def test_a_digit_of_another_script_does_not_loop() -> None:
    """In a process, as the loop held the interpreter for ever."""
    code = "from atm.plan.secret_names import is_sensitive; is_sensitive('a ²'); is_sensitive('id ٣ ¹')"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@given(st.text(max_size=60))
def test_any_text_is_judged(name: str) -> None:
    assert is_sensitive(name) <= is_sensitive_header(name)
