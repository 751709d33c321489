"""A step of gradient descent of a 64-64-10 tanh network at batch 32, float32: mean cross entropy, learning rate 0.01.

Weights are (out, in), as torch has them, normal / √in; biases 0; inputs normal, labels uniform.  Compared after three
steps: the loss before the third, and how far the parameters have moved.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from workloads.workload import Inputs, Ratio, Step, Workload

NAMES = ("w1", "b1", "w2", "b2")
LAYERS = ("0.weight", "0.bias", "2.weight", "2.bias")
RATE = 0.01


def inputs() -> Inputs:
    rng = np.random.default_rng(0)
    f32 = np.float32
    return {
        "w1": (rng.standard_normal((64, 64)) / 8.0).astype(f32),
        "b1": np.zeros(64, f32),
        "w2": (rng.standard_normal((10, 64)) / 8.0).astype(f32),
        "b2": np.zeros(10, f32),
        "x": rng.standard_normal((32, 64)).astype(f32),
        "labels": rng.integers(0, 10, 32),
    }


def network_in(nn: Any) -> Any:
    """The model in arrayad's words, which are torch's."""
    return nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10))


def in_arrayad(ad: Any, compiled: Any, arrays: Inputs) -> Step:
    model = network_in(ad.nn)
    model.load_state_dict(dict(zip(LAYERS, (arrays[name] for name in NAMES), strict=True)))
    optimizer = ad.optim.SGD(model.parameters(), lr=RATE)
    images, labels = ad.tensor(arrays["x"]), ad.tensor(arrays["labels"])

    @compiled
    def step(images: Any, labels: Any) -> Any:
        optimizer.zero_grad()
        loss = ad.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    return Step(lambda: step(images, labels), lambda loss: [loss, *moved(model.parameters(), arrays)])


def moved(parameters: Any, arrays: Inputs) -> list[Any]:
    """How far each parameter has come."""
    return [np.asarray(p.detach()) - arrays[name] for p, name in zip(parameters, NAMES, strict=True)]


def ratio(ad: Any, compiled: Any, arrays: Inputs) -> tuple[Step, Step]:
    model = network_in(ad.nn)
    images, labels = ad.tensor(arrays["x"]), ad.tensor(arrays["labels"])

    def loss(model: Any) -> Any:
        return ad.nn.functional.cross_entropy(model(images), labels)

    both, value = compiled(ad.value_and_grad(loss)), compiled(loss)
    return Step(lambda: both(model)), Step(lambda: value(model))


def in_torch(torch: Any, optimized: Any, arrays: Inputs) -> Step:
    model = network_in(torch.nn)
    model.load_state_dict(dict(zip(LAYERS, (torch.tensor(arrays[name]) for name in NAMES), strict=True)))
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, fused=True)
    images, labels = torch.tensor(arrays["x"]), torch.tensor(arrays["labels"])
    forward = optimized(model) if optimized else model

    def step() -> Any:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(forward(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    return Step(step, lambda loss: [loss, *moved(model.parameters(), arrays)])


def in_jax(jax: Any, arrays: Inputs) -> Step:
    jnp = jax.numpy
    state = [{name: jnp.asarray(arrays[name]) for name in NAMES}]
    images, labels = jnp.asarray(arrays["x"]), jnp.asarray(arrays["labels"])

    def loss(p: Any, images: Any, labels: Any) -> Any:
        logits = jnp.tanh(images @ p["w1"].T + p["b1"]) @ p["w2"].T + p["b2"]
        picked = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1)
        return -jnp.mean(picked)

    def update(p: Any, images: Any, labels: Any) -> Any:
        value, gradient = jax.value_and_grad(loss)(p, images, labels)
        return jax.tree.map(lambda p, g: p - RATE * g, p, gradient), value

    jitted = jax.jit(update, donate_argnums=0)

    def step() -> Any:
        state[0], value = jitted(state[0], images, labels)
        return value.block_until_ready()

    return Step(step, lambda loss: [loss, *[np.asarray(state[0][name]) - arrays[name] for name in NAMES]])


def in_numpy(arrays: Inputs) -> Step:
    w1, b1, w2, b2 = (arrays[name].copy() for name in NAMES)
    x, labels, rows = arrays["x"], arrays["labels"], np.arange(32)

    def step() -> Any:
        hidden = np.tanh(x @ w1.T + b1)
        logits = hidden @ w2.T + b2
        logits -= logits.max(axis=1, keepdims=True)
        shares = np.exp(logits)
        total = shares.sum(axis=1, keepdims=True)
        loss = np.mean(np.log(total[:, 0]) - logits[rows, labels])
        shares /= total
        shares[rows, labels] -= 1.0
        shares /= 32
        before = (shares @ w2) * (1.0 - hidden * hidden)
        for p, g in ((w1, before.T @ x), (b1, before.sum(0)), (w2, shares.T @ hidden), (b2, shares.sum(0))):
            p -= RATE * g
        return loss

    return Step(step, lambda loss: [loss, *[p - arrays[name] for p, name in zip((w1, b1, w2, b2), NAMES, strict=True)]])


def in_c(library: Any, arrays: Inputs) -> Step:
    """The weights lie (in, out) here, as the loops want them."""
    state = [arrays["w1"].T.copy(), arrays["b1"].copy(), arrays["w2"].T.copy(), arrays["b2"].copy()]
    loss = np.empty((), np.float32)
    declaration = "void step(const float *x, const long *labels, float *w1, float *b1, float *w2, float *b2, float *loss)"
    run = library.function(declaration, arrays["x"], arrays["labels"], *state, loss)
    return Step(run, lambda _: [loss, *[p.T - arrays[name] for p, name in zip(state, NAMES, strict=True)]])


WORKLOADS = [
    Workload(
        key="sgd",
        title="64-64-10 network, batch 32, SGD step",
        dtype="float32",
        inputs=inputs,
        goal=0.2,
        ratio=Ratio(4.0, ratio),
        arrayad=in_arrayad,
        torch=in_torch,
        jax=in_jax,
        numpy=in_numpy,
        c=in_c,
        source="small_network.c",
        calls=3,
    )
]
