"""The connection of this process to a Ray cluster, by Ray Client: one open port of the head is enough.

This is the only module that imports Ray.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import platform
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from atm.dataclass import dataclass
from atm.errors import Problem
from atm.fleet import ray_relay
from atm.fleet.ray_access import NOT_INSTALLED, check_access
from atm.fleet.transport import FleetError, LinkLostError
from atm.fleet.versions import minor
from atm.models.ray_address import RayAddress

RECONNECT_SECONDS = 3
"""How long Ray keeps the workers of a connection that broke; as long as a worker may miss its heartbeats."""
_ATTEMPTS = 3
"""Under load, the process that Ray starts on the head for a connection does not always come up."""
_WARNINGS = ("client_communication_overhead_warning", "ray_client_security_groups")
"""Ray gives these once per process, unless they count as given: a plan may be large, and our errors name a remedy."""


@dataclass(frozen=True, slots=True)
class Versions:
    """What must be the same at both ends of Ray Client: Ray, and Python up to its second number."""

    ray: str
    python: str


def installed_ray() -> str:
    """Return the version of Ray here. Raises FleetError without one."""
    try:
        return importlib.metadata.version("ray")
    except importlib.metadata.PackageNotFoundError as error:
        raise FleetError(NOT_INSTALLED) from error


def version_problem(here: Versions, there: Versions) -> Problem | None:
    """Return why Ray Client cannot work with a cluster; None if it can."""
    if here.ray == there.ray and minor(here.python) == minor(there.python):
        return None
    return Problem(
        f"the cluster has Ray {there.ray} and Python {there.python}, here are Ray {here.ray} and Python {here.python}",
        "cluster_version",
        hint=f"pip install 'ray[client]=={there.ray}' in a Python {minor(there.python)} here, or change the cluster",
    )


def too_few_nodes(count: int, nodes: int, seconds: float) -> Problem:
    """Return why `count` workers have no places on a cluster with `nodes` nodes with cores, after some seconds."""
    if nodes == 0:
        return Problem(
            "the Ray cluster has no node with cores for workers",
            "too_few_nodes",
            hint="`ray start --address=HEAD:6379` on a machine adds it; `ray status` on the head lists the nodes",
        )
    workers, has = "worker" if count == 1 else "workers", "1 node" if nodes == 1 else f"{nodes} nodes"
    return Problem(
        f"the Ray cluster could not place {count} {workers} within {seconds:g} s: it has {has} with cores, and each "
        "worker needs a node of its own with a free core",
        "too_few_nodes",
        hint=f"--workers {nodes} or fewer, or end what else runs on the cluster",
    )


class RaySession:
    """A connection; all methods but `call` block. A process has one at a time, as Ray keeps it in globals."""

    def __init__(self, ray: Any, versions: Versions) -> None:
        self._ray = ray
        self.versions = versions

    @classmethod
    def connect(cls, address: RayAddress, allow_open: bool = False) -> RaySession:
        """Connect to a cluster that may be used (`check_access`). Raises FleetError."""
        demands_token = check_access(address, allow_open)
        os.environ.update(
            RAY_AUTH_MODE="token" if demands_token else "disabled",
            RAY_USAGE_STATS_ENABLED="0",
            RAY_CLIENT_RECONNECT_GRACE_PERIOD=str(RECONNECT_SECONDS),
            # We compare the versions: Ray's own error names no remedy.
            RAY_IGNORE_VERSION_MISMATCH="1",
        )
        try:
            # Ray reads the variables above when it is imported.
            import ray
        except ImportError as error:
            raise FleetError(NOT_INSTALLED) from error
        if ray.is_initialized():
            raise FleetError(
                Problem(
                    "this process is connected to a Ray cluster already, and Ray has one connection in a process",
                    "cluster_connected",
                    hint="Run one test after the other, or each in a process of its own (`atm run`, or a server)",
                )
            )
        for warning in _WARNINGS:
            ray.util.debug.log_once(warning)
        context = _connected(ray, address)
        there = Versions(context.ray_version, context.python_version)
        if problem := version_problem(Versions(installed_ray(), platform.python_version()), there):
            ray.shutdown()
            raise FleetError(problem)
        session = cls(ray, there)
        ray.cloudpickle.register_pickle_by_value(ray_relay)
        return session

    def nodes(self) -> list[str]:
        """Return the ids of the nodes that have cores for workers."""
        return [node["NodeID"] for node in self._ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]

    def place(self, count: int, seconds: float) -> tuple[Any, list[Any]]:
        """Start an actor on each of `count` nodes, or all on the only node; return their places and them.

        Raises FleetError.
        """
        from ray.util.placement_group import placement_group
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        nodes = self.nodes()
        group = placement_group([{"CPU": 1}] * count, strategy="STRICT_SPREAD" if len(nodes) > 1 else "PACK")
        if not group.wait(seconds):
            self.release(group)
            raise FleetError(too_few_nodes(count, len(nodes), seconds))
        relay = self._ray.remote(max_restarts=0, max_task_retries=0, num_cpus=1)(ray_relay.Relay)
        places = (PlacementGroupSchedulingStrategy(group, index) for index in range(count))
        return group, [relay.options(scheduling_strategy=place).remote() for place in places]

    async def call(self, actor: Any, method: str, *arguments: Any) -> Any:
        """Call a method of an actor. Raises LinkLostError when the actor, its node or the connection is gone."""
        try:
            reference = await asyncio.to_thread(getattr(actor, method).remote, *arguments)
            return await _result(reference.future())
        except Exception as error:  # Ray raises a plain one when its connection is gone
            raise LinkLostError(_first_line(error)) from error

    def kill(self, actor: Any) -> None:
        """End an actor, if it is still there."""
        try:
            self._ray.kill(actor, no_restart=True)
        except Exception:  # noqa: BLE001  # it, or the connection, is gone
            return

    def release(self, group: Any) -> None:
        """Give up places; Ray ends actors that are still there."""
        from ray.util.placement_group import remove_placement_group

        try:
            remove_placement_group(group)
        except Exception:  # noqa: BLE001  # the connection is gone, and with it the places
            return

    def close(self) -> None:
        """Disconnect; Ray ends what this connection started."""
        self._ray.shutdown()


def _connected(ray: Any, address: RayAddress) -> Any:
    attempts = 0
    while True:
        attempts += 1
        try:
            return ray.init(str(address), logging_level="CRITICAL", log_to_driver=False)
        except (ConnectionError, RuntimeError) as error:
            if attempts == _ATTEMPTS:
                reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
                raise FleetError(
                    Problem(f"could not connect to {address}: {reason[0]}", "cluster_unreachable")
                ) from error


async def _result(future: Future[Any]) -> Any:
    """Await a future of Ray, and never cancel it: a thread of Ray would fail to settle it, and print a traceback."""
    loop = asyncio.get_running_loop()
    is_done = asyncio.Event()

    def wake(_: Future[Any]) -> None:
        with suppress(RuntimeError):  # The loop is closed.
            loop.call_soon_threadsafe(is_done.set)

    future.add_done_callback(wake)
    await is_done.wait()
    return future.result()


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
