"""An LSTM layer as a scan, float32: T 64, 128 inputs, H 128, batch 32; the gradient of Σ h(t)² over all steps by the weights.

Gates (i, f, g, o) = x Wxᵀ + h Whᵀ + b, rows of four blocks as torch has them; c' = σ(f) c + σ(i) tanh(g); h' = σ(o) tanh(c').
Weights uniform in ±1/√H, x normal, h and c begin at 0.  Ours, JAX's and NumPy's compute x Wxᵀ + b of all steps in one product
before the loop.  torch's is `torch.nn.LSTM`, the fused one, whose second bias is 0; torch.compile, which fails at it, compiles a
step, over which Python loops.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from workloads.workload import Inputs, Ratio, Step, Workload

T, H, B = 64, 128, 32


def inputs() -> Inputs:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((T, B, H), np.float32)
    shapes = {"wx": (4 * H, H), "wh": (4 * H, H), "b": (4 * H,)}
    return {**{name: (rng.uniform(-1, 1, shape) / H**0.5).astype(np.float32) for name, shape in shapes.items()}, "x": x}


def loss_in(m: Any, scan: Any, sigmoid: Any) -> Any:
    def loss(wx: Any, wh: Any, b: Any, x: Any) -> Any:
        def step(state: Any, through: Any) -> Any:
            h, c = state
            i, f, g, o = m.split(through + h @ wh.T, 4, axis=-1)
            c = sigmoid(f) * c + sigmoid(i) * m.tanh(g)
            h = sigmoid(o) * m.tanh(c)
            return (h, c), h

        zeros = m.zeros((B, H), dtype="float32")
        _, hidden = scan(step, (zeros, zeros), x @ wx.T + b)
        return m.sum(hidden**2)

    return loss


def in_arrayad(ad: Any, compiled: Any, arrays: Inputs) -> Step:
    step, operands = compiled(ad.grad(loss_in(ad, ad.scan, ad.sigmoid), (0, 1, 2))), [ad.tensor(x) for x in arrays.values()]
    return Step(lambda: step(*operands))


def ratio(ad: Any, compiled: Any, arrays: Inputs) -> tuple[Step, Step]:
    loss, operands = loss_in(ad, ad.scan, ad.sigmoid), [ad.tensor(x) for x in arrays.values()]
    both, value = compiled(ad.value_and_grad(loss, (0, 1, 2))), compiled(loss)
    return Step(lambda: both(*operands)), Step(lambda: value(*operands))


def in_torch(torch: Any, optimized: Any, arrays: Inputs) -> Step:
    if optimized:
        *weights, x = (torch.tensor(x, requires_grad=name != "x") for name, x in arrays.items())
        run = looped(torch, optimized, *weights)
    else:
        x, model = torch.tensor(arrays["x"]), torch.nn.LSTM(H, H)
        biases = {"bias_ih_l0": arrays["b"], "bias_hh_l0": 0.0 * arrays["b"]}
        given = {"weight_ih_l0": arrays["wx"], "weight_hh_l0": arrays["wh"], **biases}
        model.load_state_dict({name: torch.tensor(value) for name, value in given.items()})
        weights = [model.weight_ih_l0, model.weight_hh_l0, model.bias_ih_l0]

        def run(x: Any) -> Any:
            return model(x)[0]

    return Step(lambda: torch.autograd.grad(torch.sum(run(x) ** 2), weights))


def looped(torch: Any, optimized: Any, wx: Any, wh: Any, b: Any) -> Any:
    """All h of a loop over a compiled step."""

    @optimized
    def step(through: Any, h: Any, c: Any) -> Any:
        i, f, g, o = torch.chunk(through + h @ wh.T, 4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    def run(x: Any) -> Any:
        h, c, hidden = torch.zeros(B, H), torch.zeros(B, H), []
        for through in torch.unbind(x @ wx.T + b):
            h, c = step(through, h, c)
            hidden.append(h)
        return torch.stack(hidden)

    return run


def in_jax(jax: Any, arrays: Inputs) -> Step:
    step = jax.jit(jax.grad(loss_in(jax.numpy, jax.lax.scan, jax.nn.sigmoid), (0, 1, 2)))
    operands = [jax.numpy.asarray(x) for x in arrays.values()]
    return Step(lambda: jax.block_until_ready(step(*operands)))


def in_numpy(arrays: Inputs) -> Step:
    wx, wh, b, x = arrays.values()
    kind = x.dtype
    flat, across = x.reshape(T * B, H), np.ascontiguousarray(wh.T)
    hs, cs, tanhs = np.zeros((T + 1, B, H), kind), np.zeros((T + 1, B, H), kind), np.empty((T, B, H), kind)

    def activate(gates: Any) -> None:
        """σ of i, f, o by the tanh of a half, tanh of g, in place."""
        ifo = (gates[:, : 2 * H], gates[:, 3 * H :])
        for part in ifo:
            part *= 0.5
        np.tanh(gates, out=gates)
        for part in ifo:
            part += 1.0
            part *= 0.5

    def step() -> Any:
        gates = (flat @ wx.T + b).reshape(T, B, 4 * H)
        for t in range(T):
            gates[t] += hs[t] @ across
            activate(gates[t])
            i, f, g, o = np.split(gates[t], 4, axis=1)
            np.multiply(f, cs[t], out=cs[t + 1])
            cs[t + 1] += i * g
            np.tanh(cs[t + 1], out=tanhs[t])
            np.multiply(o, tanhs[t], out=hs[t + 1])
        cts, dh, dc = np.empty_like(gates), np.zeros((B, H), kind), np.zeros((B, H), kind)
        for t in reversed(range(T)):
            i, f, g, o = np.split(gates[t], 4, axis=1)
            dh += 2.0 * hs[t + 1]
            dc += dh * o * (1.0 - tanhs[t] * tanhs[t])
            ct = cts[t]
            ct[:, :H] = dc * g * i * (1.0 - i)
            ct[:, H : 2 * H] = dc * cs[t] * f * (1.0 - f)
            ct[:, 2 * H : 3 * H] = dc * i * (1.0 - g * g)
            ct[:, 3 * H :] = dh * tanhs[t] * o * (1.0 - o)
            dc *= f
            dh = ct @ wh
        flat_cts = cts.reshape(T * B, 4 * H)
        return flat_cts.T @ flat, flat_cts.T @ hs[:-1].reshape(T * B, H), flat_cts.sum(axis=0)

    return Step(step)


WORKLOADS = [
    Workload(
        key="lstm",
        title="LSTM T 64, H 128, batch 32, gradient, as a scan",
        dtype="float32",
        inputs=inputs,
        goal=0.7,
        ratio=Ratio(4.0, ratio, by=(0, 1, 2)),
        arrayad=in_arrayad,
        torch=in_torch,
        jax=in_jax,
        numpy=in_numpy,
    )
]
