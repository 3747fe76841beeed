from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from atm import logs
from atm.config import Settings


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("atm", "uvicorn")]
    before = [(each.handlers, each.level, each.propagate) for each in loggers]
    yield
    for logger, state in zip(loggers, before, strict=True):
        logger.handlers, logger.level, logger.propagate = state


def test_what_strangers_ask_for_does_nothing_to_a_terminal() -> None:
    logs.set_up(terminal := Terminal())
    logging.getLogger("atm.api").info("%s %s", "GET", "/\x1b]0;owned\x07\nINFO all is well")
    assert terminal.getvalue().endswith("INFO    GET /\\x1b]0;owned\\x07\\nINFO all is well\n")
    assert terminal.getvalue().count("\n") == 1


def test_a_trace_keeps_its_lines_on_a_terminal_and_nothing_else() -> None:
    logs.set_up(terminal := Terminal())
    try:
        raise ValueError("a\x1b[2Jb")
    except ValueError:
        logging.getLogger("atm").exception("failed")
    lines = terminal.getvalue().splitlines()
    assert lines[0].endswith("ERROR   failed")
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: a\\x1b[2Jb"


def test_elsewhere_a_line_is_a_json_object_with_the_ids() -> None:
    logs.set_up(stream := io.StringIO())
    logging.getLogger("atm.runs").info("two\nlines", extra={"run_id": "7f3a2c"})
    assert stream.getvalue().count("\n") == 1
    line = json.loads(stream.getvalue())
    assert (line["level"], line["logger"], line["run_id"]) == ("info", "atm.runs", "7f3a2c")
    assert line["message"] == "two\nlines"


def test_secrets_of_the_settings_are_in_no_line_and_no_trace() -> None:
    secrets = Settings(
        API_TEST_MACHINE_API_KEY=SecretStr("9f1c6e0b7a3d5824c1e97b60d4f8a253"),
        secret_key=SecretStr("a sealing key of 16+"),
        database_url=SecretStr("postgresql://atm:p%40ss-word@db.example/atm"),
    ).secret_values()
    for stream in (io.StringIO(), Terminal()):
        logs.set_up(stream, secrets)
        logging.getLogger("atm.api").warning("GET %s", "/x/9f1c6e0b7a3d5824c1e97b60d4f8a253")
        try:
            raise ValueError("no connection to postgresql://atm:p%40ss-word@db.example/atm with p@ss-word")
        except ValueError:
            logging.getLogger("uvicorn.error").exception("sealed with %r", "a sealing key of 16+")
        text = stream.getvalue()
        for secret in ("9f1c6e0b7a3d5824c1e97b60d4f8a253", "a sealing key", "p%40ss", "p@ss"):
            assert secret not in text, text
        assert "GET /x/***" in text
        assert "db.example" in text
