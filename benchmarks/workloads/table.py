"""All workloads, in the order of the table."""

from __future__ import annotations

from workloads import rosenbrock
from workloads.workload import Workload

ROWS: dict[str, Workload] = {workload.key: workload for module in (rosenbrock,) for workload in module.WORKLOADS}
