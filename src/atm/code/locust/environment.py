"""What a locustfile knows of its run: the environment, the runner and the options of the command line."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from atm.code.locust.event import Events

if TYPE_CHECKING:
    from atm.code.locust.shape import LoadTestShape
    from atm.code.locust.user import User

RUNNING, STOPPING, STOPPED = "running", "stopping", "stopped"


class Runner:
    """The run, for code that wants to end it or asks how many users there are."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.state = RUNNING
        self.target_user_count = 0
        self.user_count = 0
        """Users of this process that have begun and not ended."""

    @property
    def is_stopping(self) -> bool:
        """Whether the code has ended the run."""
        return self.state == STOPPING

    def quit(self) -> None:
        """End the run."""
        self.state = STOPPING

    stop = quit


class LocalRunner(Runner):
    """The run of a single process, as every process here sees itself."""


class MasterRunner(Runner):
    """Does not exist here; for `isinstance`."""


class WorkerRunner(Runner):
    """Does not exist here; for `isinstance`."""


class Environment:
    """The state of a run that listeners and users share."""

    def __init__(self, events: Events, user_classes: Sequence[type[User]], options: Namespace, base_url: str) -> None:
        self.events = events
        self.user_classes = list(user_classes)
        self.shape_class: LoadTestShape | None = None
        self.base_url = base_url
        """The address that URLs of the spec continue."""
        self.host = base_url or None
        self.parsed_options = options
        self.runner = LocalRunner(self)
        self.catch_exceptions = True
        self.web_ui = None
