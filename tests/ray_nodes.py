"""Ray nodes on this machine, started by a process of their own, whose workers import modules of the tests.

Called as a program: starts as many nodes as its argument says, prints the cluster's address, and stops them at the end
of its input.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def ray_nodes(count: int) -> Iterator[str]:
    """Start nodes of one processor each on loopback, let commands join them, and yield the cluster's address."""
    pytest.importorskip("ray", reason="needs the extra brainslice[ray]")
    variables = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "RAY_USAGE_STATS_ENABLED": "0"}
    with subprocess.Popen(
        [sys.executable, __file__, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | variables,
    ) as process:
        address = next((line for line in process.stdout or () if line.startswith("127.0.0.2:")), "").strip()
        assert address, "the nodes did not start"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RAY_ADDRESS", address)
            yield address


def _main(count: int) -> None:
    from ray.cluster_utils import Cluster

    # Ray replaces 127.0.0.1 by the machine's address, on which such nodes do not listen.
    node = {"node_ip_address": "127.0.0.2", "num_cpus": 1, "include_log_monitor": False}
    cluster = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    for _ in range(count - 1):
        cluster.add_node(**node)
    sys.stdout.write(f"{cluster.address}\n")
    sys.stdout.flush()
    sys.stdin.read()
    cluster.shutdown()


if __name__ == "__main__":
    _main(int(sys.argv[1]))
