"""The options that a locustfile adds to the command line: their values are those of `--var NAME=VALUE`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from typing import Any


class LocustArgumentParser(argparse.ArgumentParser):
    """Takes the options of a locustfile; each can have an environment variable."""

    def __init__(self) -> None:
        super().__init__(prog="locustfile", add_help=False, exit_on_error=False, allow_abbrev=False)
        self._variables: dict[str, str] = {}

    def add_argument(self, *names: Any, env_var: str | None = None, **options: Any) -> Any:
        """Add an option; those that the web page of Locust would use are ignored."""
        for ignored in ("include_in_web_ui", "is_secret", "is_required", "is_multiple"):
            options.pop(ignored, None)
        action = super().add_argument(*names, **options)
        if env_var and env_var in os.environ:
            self._variables[action.dest] = os.environ[env_var]
        return action

    def error(self, message: str) -> Any:
        """Raise ValueError instead of ending the process."""
        raise ValueError(message)

    def parsed(self, variables: Mapping[str, str]) -> argparse.Namespace:
        """Return all options, with the variables of the run. Raises ValueError."""
        actions = {action.dest: action for action in self._actions}
        words: list[str] = []
        for name, value in {**self._variables, **variables}.items():
            action = actions.get(name.replace("-", "_"))
            if action is not None:
                words += _words(action, value)
        try:
            return self.parse_args(words)
        except argparse.ArgumentError as error:
            raise ValueError(str(error)) from None


def _words(action: argparse.Action, value: str) -> list[str]:
    """Return an option with its value, as words of a command line; several values are separated by commas."""
    flag = action.option_strings[0]
    if action.nargs == 0:
        return [] if value.lower() in ("", "0", "false", "no") else [flag]
    return [flag, *value.split(",")] if action.nargs else [flag, value]


def add_common_options(parser: LocustArgumentParser) -> None:
    """Add the options of Locust itself that code asks for."""
    parser.add_argument("--host", "-H")
    parser.add_argument("--users", "-u", type=int, dest="num_users")
    parser.add_argument("--spawn-rate", "-r", type=float)
    parser.add_argument("--run-time", "-t")
    parser.add_argument("--tags", "-T", nargs="*")
    parser.add_argument("--exclude-tags", "-E", nargs="*")
    parser.add_argument("--headless", action="store_true", default=True)
    parser.add_argument("--loglevel", "-L", default="INFO")
