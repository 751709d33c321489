"""All workloads, in the order of the table."""

from __future__ import annotations

from workloads import (
    attention,
    black_scholes,
    bundle,
    chain,
    digits_network,
    hessian,
    layer_norm,
    logistic,
    lorenz,
    lstm,
    mixture,
    rosenbrock,
    small_network,
)
from workloads.workload import Workload

MODULES = (
    *(chain, small_network, digits_network, lstm, attention, mixture, bundle),
    *(lorenz, black_scholes, rosenbrock, logistic, layer_norm, hessian),
)
ROWS: dict[str, Workload] = {workload.key: workload for module in MODULES for workload in module.WORKLOADS}
