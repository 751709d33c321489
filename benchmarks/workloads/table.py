"""All workloads, in the order of the table."""

from __future__ import annotations

from workloads import (
    attention,
    black_scholes,
    bundle,
    calls,
    chain,
    digits_network,
    gpt,
    hessian,
    layer_norm,
    logistic,
    long_tape,
    lorenz,
    lstm,
    mixture,
    rosenbrock,
    small_network,
)
from workloads.workload import Workload

MODULES = (
    *(chain, small_network, digits_network, gpt, lstm, attention, mixture, bundle),
    *(lorenz, black_scholes, rosenbrock, logistic, layer_norm, hessian, calls, long_tape),
)
ROWS: dict[str, Workload] = {workload.key: workload for module in MODULES for workload in module.WORKLOADS}
