"""All workloads, in the order of the table."""

from __future__ import annotations

from workloads import chain, digits_network, rosenbrock, small_network
from workloads.workload import Workload

ROWS: dict[str, Workload] = {workload.key: workload for module in (chain, small_network, digits_network, rosenbrock) for workload in module.WORKLOADS}
