"""A step of Adam of a 784-512-256-10 relu network at batch 128, float32: mean cross entropy, learning rate 1e-4.

Weights are (out, in), normal · √(2 / in); biases 0; inputs uniform in [0, 1], labels uniform.  Compared after three steps:
the loss before the third, and how far the parameters have moved; 1e-3 is allowed, since Adam divides gradients by their own
size, roundings included.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from workloads.adam import adam_in_jax, adam_in_numpy
from workloads.workload import Inputs, Ratio, Step, Workload

SIZES = (784, 512, 256, 10)
NAMES = tuple(f"{2 * i}.{kind}" for i in range(3) for kind in ("weight", "bias"))
RATE = 1e-4


def inputs() -> Inputs:
    rng = np.random.default_rng(0)
    found: Inputs = {}
    for i, (size, out) in enumerate(pairwise(SIZES)):
        found[f"{2 * i}.weight"] = (rng.standard_normal((out, size)) * np.sqrt(2.0 / size)).astype(np.float32)
        found[f"{2 * i}.bias"] = np.zeros(out, np.float32)
    return {**found, "x": rng.random((128, 784), np.float32), "labels": rng.integers(0, 10, 128)}


def network_in(nn: Any) -> Any:
    return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))


def in_arrayad(ad: Any, compiled: Any, arrays: Inputs) -> Step:
    model = network_in(ad.nn)
    model.load_state_dict({name: arrays[name] for name in NAMES})
    optimizer = ad.optim.Adam(model.parameters(), lr=RATE)
    images, labels = ad.tensor(arrays["x"]), ad.tensor(arrays["labels"])

    @compiled
    def step(images: Any, labels: Any) -> Any:
        optimizer.zero_grad()
        loss = ad.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    return Step(lambda: step(images, labels), lambda loss: [loss, *moved(dict(model.named_parameters()), arrays)])


def moved(parameters: Any, arrays: Inputs) -> list[Any]:
    """How far each parameter has come."""
    return [np.asarray(p.detach() if hasattr(p, "detach") else p) - arrays[name] for name, p in parameters.items()]


def ratio(ad: Any, compiled: Any, arrays: Inputs) -> tuple[Step, Step]:
    model = network_in(ad.nn)
    images, labels = ad.tensor(arrays["x"]), ad.tensor(arrays["labels"])

    def loss(model: Any) -> Any:
        return ad.nn.functional.cross_entropy(model(images), labels)

    both, value = compiled(ad.value_and_grad(loss)), compiled(loss)
    return Step(lambda: both(model)), Step(lambda: value(model))


def in_torch(torch: Any, optimized: Any, arrays: Inputs) -> Step:
    model = network_in(torch.nn)
    model.load_state_dict({name: torch.tensor(arrays[name]) for name in NAMES})
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    images, labels = torch.tensor(arrays["x"]), torch.tensor(arrays["labels"])
    forward = optimized(model) if optimized else model

    def step() -> Any:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(forward(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    return Step(step, lambda loss: [loss, *moved(dict(model.named_parameters()), arrays)])


def in_jax(jax: Any, arrays: Inputs) -> Step:
    jnp = jax.numpy
    images, labels = jnp.asarray(arrays["x"]), jnp.asarray(arrays["labels"])

    def loss(p: Any, images: Any, labels: Any) -> Any:
        y = jax.nn.relu(images @ p["0.weight"].T + p["0.bias"])
        y = jax.nn.relu(y @ p["2.weight"].T + p["2.bias"])
        logits = y @ p["4.weight"].T + p["4.bias"]
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1))

    step, parameters = adam_in_jax(jax, loss, {name: jnp.asarray(arrays[name]) for name in NAMES}, RATE)
    return Step(lambda: step(images, labels), lambda loss: [loss, *[parameters()[name] - arrays[name] for name in NAMES]])


def in_numpy(arrays: Inputs) -> Step:
    p = {name: arrays[name].copy() for name in NAMES}
    x, labels, rows, update = arrays["x"], arrays["labels"], np.arange(128), adam_in_numpy(p, RATE)

    def step() -> Any:
        outputs = [x]
        for i in (0, 2):
            outputs.append(np.maximum(outputs[-1] @ p[f"{i}.weight"].T + p[f"{i}.bias"], 0.0))
        logits = outputs[-1] @ p["4.weight"].T + p["4.bias"]
        logits -= logits.max(axis=1, keepdims=True)
        ct = np.exp(logits)
        total = ct.sum(axis=1, keepdims=True)
        loss = np.mean(np.log(total[:, 0]) - logits[rows, labels])
        ct /= total
        ct[rows, labels] -= 1.0
        ct /= 128
        gradient = {}
        for i, y in ((4, outputs[2]), (2, outputs[1]), (0, x)):
            gradient[f"{i}.weight"], gradient[f"{i}.bias"] = ct.T @ y, ct.sum(0)
            if i:
                ct = (ct @ p[f"{i}.weight"]) * (y > 0)
        update(gradient)
        return loss

    return Step(step, lambda loss: [loss, *[p[name] - arrays[name] for name in NAMES]])


WORKLOADS = [
    Workload(
        key="adam",
        title="784-512-256-10 network, batch 128, Adam step",
        dtype="float32",
        inputs=inputs,
        goal=0.75,
        ratio=Ratio(4.0, ratio),
        arrayad=in_arrayad,
        torch=in_torch,
        jax=in_jax,
        numpy=in_numpy,
        calls=3,
        tolerance=1e-3,
    )
]
