"""A Ray cluster of three nodes on this machine, for tests: prints one line of JSON, then follows lines of commands.

`remove PID` removes the node of a raylet at once, as if its machine were gone, `remove` has the newest one leave. `add`
adds a node, `add PATH` one that imports from there first. Each is answered with a line. It ends at `end`, or with its
standard input, of which another test may hold a copy.
"""

from __future__ import annotations

import json
import socket
import sys

import ray
import ray.cluster_utils

NODES = 3
OPTIONS = {"num_cpus": 1, "object_store_memory": 80 * 1024 * 1024}


def raylet(node: ray.node.Node) -> int:
    [process] = node.all_processes["raylet"]
    return int(process.process.pid)


def main() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    head = {**OPTIONS, "include_dashboard": False, "ray_client_server_port": port}
    cluster = ray.cluster_utils.Cluster(initialize_head=True, head_node_args=head)
    for _ in range(NODES - 1):
        cluster.add_node(wait=False, **OPTIONS)
    cluster.wait_for_nodes()
    session = cluster.head_node.get_session_dir_path()
    print(json.dumps({"port": port, "session": session, "head": raylet(cluster.head_node)}), flush=True)
    added: list[ray.node.Node] = []
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "end":
            break
        if command == "remove":
            if arguments:
                [node] = [node for node in cluster.list_all_nodes() if str(raylet(node)) == arguments[0]]
            else:
                node = added.pop()
            cluster.remove_node(node, allow_graceful=not arguments)
        else:
            variables = {"env_vars": {"PYTHONPATH": arguments[0]}} if arguments else {}
            added.append(cluster.add_node(**OPTIONS, **variables))
        cluster.wait_for_nodes()
        print("done", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
