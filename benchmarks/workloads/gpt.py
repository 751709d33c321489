"""A step of Adam of a tiny GPT, float32: 4 layers, d 128, 4 heads, T 64, batch 16, vocabulary 96; pre-norm, gelu by erf.

Embeddings of tokens and places; blocks x + attention(LN(x)), x + down(gelu(up(LN(x)))) with 512 inner units; LN; a head without
bias; mean cross entropy, learning rate 1e-4.  q, k and v come from one projection, which has no bias: softmax does not see that
of the keys, whose gradient would be mere rounding, which Adam makes steps of.  Weights 0.02 normal, biases 0, factors 1; tokens
uniform.

Compared after three steps: the loss before the third, and how far the parameters have moved; 1e-3 is allowed, as in
`digits_network`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from workloads.adam import adam_in_jax, adam_in_numpy
from workloads.special import erf
from workloads.workload import Inputs, Ratio, Step, Workload

LAYERS, WIDTH, HEADS, T, B, VOCABULARY, RATE = 4, 128, 4, 64, 16, 96, 1e-4
SIZE = WIDTH // HEADS
DATA = ("tokens", "labels")


def inputs() -> Inputs:
    rng = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {"token.weight": (VOCABULARY, WIDTH), "place.weight": (T, WIDTH)}
    for i in range(LAYERS):
        for norm in ("first", "second"):
            shapes |= {f"blocks.{i}.{norm}.weight": (WIDTH,), f"blocks.{i}.{norm}.bias": (WIDTH,)}
        shapes[f"blocks.{i}.qkv.weight"] = (3 * WIDTH, WIDTH)
        for name, size, out in (("mix", WIDTH, WIDTH), ("up", WIDTH, 4 * WIDTH), ("down", 4 * WIDTH, WIDTH)):
            shapes |= {f"blocks.{i}.{name}.weight": (out, size), f"blocks.{i}.{name}.bias": (out,)}
    shapes |= {"last.weight": (WIDTH,), "last.bias": (WIDTH,), "head.weight": (VOCABULARY, WIDTH)}
    found: Inputs = {}
    for name, shape in shapes.items():
        one = name.endswith("weight") and len(shape) == 1
        found[name] = (one + (0.02 if len(shape) > 1 else 0.0) * rng.standard_normal(shape)).astype(np.float32)
    text = rng.integers(0, VOCABULARY, (B, T + 1))
    return {**found, "tokens": text[:, :-1].copy(), "labels": text[:, 1:].copy()}


def parameters_of(arrays: Inputs) -> Inputs:
    return {name: x for name, x in arrays.items() if name not in DATA}


# --- arrayad and torch, in the words that they share -------------------------------------------------------------------


def model_in(nn: Any) -> Any:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
            self.qkv, self.mix = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH)
            self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

        def heads(self, y: Any) -> Any:
            return y.reshape(B, T, HEADS, SIZE).swapaxes(1, 2)

        def forward(self, x: Any) -> Any:
            y = self.qkv(self.first(x))
            q, k, v = (self.heads(y[..., i * WIDTH : (i + 1) * WIDTH]) for i in range(3))
            y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.mix(y.swapaxes(1, 2).reshape(B, T, WIDTH))
            return x + self.down(nn.functional.gelu(self.up(self.second(x))))

    class GPT(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token, self.place = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(T, WIDTH)
            self.blocks = nn.ModuleList([Block() for _ in range(LAYERS)])
            self.last, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY, bias=False)

        def forward(self, tokens: Any, labels: Any) -> Any:
            x = self.token(tokens) + self.place.weight
            for block in self.blocks:
                x = block(x)
            logits = self.head(self.last(x))
            return nn.functional.cross_entropy(logits.reshape(B * T, VOCABULARY), labels.reshape(B * T))

    return GPT()


def moved(model: Any, arrays: Inputs) -> list[Any]:
    """How far each parameter has come."""
    return [np.asarray(p.detach()) - arrays[name] for name, p in sorted(model.named_parameters())]


def in_arrayad(ad: Any, compiled: Any, arrays: Inputs) -> Step:
    model = model_in(ad.nn)
    model.load_state_dict(parameters_of(arrays))
    optimizer = ad.optim.Adam(model.parameters(), lr=RATE)
    tokens, labels = (ad.tensor(arrays[name]) for name in DATA)

    @compiled
    def step(tokens: Any, labels: Any) -> Any:
        optimizer.zero_grad()
        loss = model(tokens, labels)
        loss.backward()
        optimizer.step()
        return loss

    return Step(lambda: step(tokens, labels), lambda loss: [loss, *moved(model, arrays)])


def ratio(ad: Any, compiled: Any, arrays: Inputs) -> tuple[Step, Step]:
    model = model_in(ad.nn)
    model.load_state_dict(parameters_of(arrays))
    tokens, labels = (ad.tensor(arrays[name]) for name in DATA)

    def loss(model: Any) -> Any:
        return model(tokens, labels)

    both, value = compiled(ad.value_and_grad(loss)), compiled(loss)
    return Step(lambda: both(model)), Step(lambda: value(model))


def in_torch(torch: Any, optimized: Any, arrays: Inputs) -> Step:
    model = model_in(torch.nn)
    model.load_state_dict({name: torch.tensor(x) for name, x in parameters_of(arrays).items()})
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    tokens, labels = (torch.tensor(arrays[name]) for name in DATA)
    run = optimized(model) if optimized else model

    def step() -> Any:
        optimizer.zero_grad()
        loss = run(tokens, labels)
        loss.backward()
        optimizer.step()
        return loss

    return Step(step, lambda loss: [loss, *moved(model, arrays)])


# --- JAX ---------------------------------------------------------------------------------------------------------------


def in_jax(jax: Any, arrays: Inputs) -> Step:
    jnp = jax.numpy

    def norm(x: Any, p: Any, name: str) -> Any:
        centred = x - jnp.mean(x, -1, keepdims=True)
        scale = jax.lax.rsqrt(jnp.mean(centred * centred, -1, keepdims=True) + 1e-5)
        return centred * scale * p[f"{name}.weight"] + p[f"{name}.bias"]

    def linear(x: Any, p: Any, name: str) -> Any:
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    def attention(x: Any, p: Any, name: str) -> Any:
        q, k, v = jnp.moveaxis((x @ p[f"{name}.qkv.weight"].T).reshape(B, T, 3, HEADS, SIZE), 2, 0)
        scores = jnp.einsum("bthd,bshd->bhts", q, k) / math.sqrt(SIZE)
        scores = jnp.where(jnp.tril(jnp.ones((T, T), bool)), scores, -jnp.inf)
        y = jnp.einsum("bhts,bshd->bthd", jax.nn.softmax(scores), v)
        return linear(y.reshape(B, T, WIDTH), p, f"{name}.mix")

    def loss(p: Any, tokens: Any, labels: Any) -> Any:
        x = p["token.weight"][tokens] + p["place.weight"]
        for i in range(LAYERS):
            name = f"blocks.{i}"
            x = x + attention(norm(x, p, f"{name}.first"), p, name)
            y = jax.nn.gelu(linear(norm(x, p, f"{name}.second"), p, f"{name}.up"), approximate=False)
            x = x + linear(y, p, f"{name}.down")
        logits = norm(x, p, "last") @ p["head.weight"].T
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], -1))

    step, parameters = adam_in_jax(jax, loss, {name: jnp.asarray(x) for name, x in parameters_of(arrays).items()}, RATE)
    tokens, labels = (jnp.asarray(arrays[name]) for name in DATA)
    return Step(
        lambda: step(tokens, labels), lambda loss: [loss, *[p - arrays[name] for name, p in sorted(parameters().items())]]
    )


# --- NumPy -------------------------------------------------------------------------------------------------------------


class ByHand:
    """Forward and backward of the pieces; each forward gives what its way back needs, gradients gather in `g`."""

    def __init__(self, p: Inputs) -> None:
        self.p = p
        self.g: Inputs = {}
        self.hidden = np.where(np.tril(np.ones((T, T), bool)), 0.0, -np.inf).astype(p["head.weight"].dtype)

    def norm(self, x: Any, name: str) -> Any:
        normal = x - x.mean(axis=1, keepdims=True)
        scale = 1.0 / np.sqrt(np.mean(normal * normal, axis=1, keepdims=True) + 1e-5)
        normal *= scale
        return normal * self.p[f"{name}.weight"] + self.p[f"{name}.bias"], (normal, scale)

    def norm_back(self, ct: Any, kept: Any, name: str) -> Any:
        normal, scale = kept
        self.g[f"{name}.weight"], self.g[f"{name}.bias"] = np.sum(ct * normal, axis=0), ct.sum(axis=0)
        ct = ct * self.p[f"{name}.weight"]
        return (ct - ct.mean(axis=1, keepdims=True) - normal * np.mean(ct * normal, axis=1, keepdims=True)) * scale

    def linear(self, x: Any, name: str) -> Any:
        y = x @ self.p[f"{name}.weight"].T
        if f"{name}.bias" in self.p:
            y += self.p[f"{name}.bias"]
        return y

    def linear_back(self, ct: Any, x: Any, name: str) -> Any:
        self.g[f"{name}.weight"] = ct.T @ x
        if f"{name}.bias" in self.p:
            self.g[f"{name}.bias"] = ct.sum(axis=0)
        return ct @ self.p[f"{name}.weight"]

    def attention(self, qkv: Any) -> Any:
        q, k, v = qkv.reshape(B, T, 3, HEADS, SIZE).transpose(2, 0, 3, 1, 4)
        shares = (q @ k.swapaxes(-1, -2)) * (1.0 / math.sqrt(SIZE))
        shares += self.hidden
        shares -= shares.max(axis=-1, keepdims=True)
        np.exp(shares, out=shares)
        shares /= shares.sum(axis=-1, keepdims=True)
        return (shares @ v).swapaxes(1, 2).reshape(B * T, WIDTH), (q, k, v, shares)

    def attention_back(self, ct: Any, y: Any, kept: Any) -> Any:
        q, k, v, shares = kept
        along = np.sum((ct * y).reshape(B, T, HEADS, SIZE), axis=-1).swapaxes(1, 2)[..., None]
        ct = ct.reshape(B, T, HEADS, SIZE).swapaxes(1, 2)
        out = np.empty((B, T, 3, HEADS, SIZE), ct.dtype)
        dq, dk, dv = out.transpose(2, 0, 3, 1, 4)
        dv[...] = shares.swapaxes(-1, -2) @ ct
        ds = ct @ v.swapaxes(-1, -2)
        ds -= along
        ds *= shares
        ds *= 1.0 / math.sqrt(SIZE)
        dq[...], dk[...] = ds @ k, ds.swapaxes(-1, -2) @ q
        return out.reshape(B * T, 3 * WIDTH)

    def block(self, x: Any, name: str) -> Any:
        first, norm1 = self.norm(x, f"{name}.first")
        y, attended = self.attention(self.linear(first, f"{name}.qkv"))
        x = x + self.linear(y, f"{name}.mix")
        second, norm2 = self.norm(x, f"{name}.second")
        u = self.linear(second, f"{name}.up")
        phi = erf(u * math.sqrt(0.5))
        phi += 1.0
        phi *= 0.5
        inner = u * phi
        return x + self.linear(inner, f"{name}.down"), (first, norm1, y, attended, second, norm2, u, phi, inner)

    def block_back(self, ct: Any, kept: Any, name: str) -> Any:
        first, norm1, y, attended, second, norm2, u, phi, inner = kept
        slope = np.exp(-0.5 * u * u)
        slope *= 1.0 / math.sqrt(2.0 * math.pi)
        slope *= u
        slope += phi
        slope *= self.linear_back(ct, inner, f"{name}.down")
        ct = ct + self.norm_back(self.linear_back(slope, second, f"{name}.up"), norm2, f"{name}.second")
        back = self.attention_back(self.linear_back(ct, y, f"{name}.mix"), y, attended)
        return ct + self.norm_back(self.linear_back(back, first, f"{name}.qkv"), norm1, f"{name}.first")

    def gradient(self, tokens: Any, labels: Any) -> Any:
        """The loss; the gradients are in `g`."""
        x = (self.p["token.weight"][tokens] + self.p["place.weight"]).reshape(B * T, WIDTH)
        kept = []
        for i in range(LAYERS):
            x, block = self.block(x, f"blocks.{i}")
            kept.append(block)
        last, norm = self.norm(x, "last")
        ct, rows = self.linear(last, "head"), np.arange(B * T)
        ct -= ct.max(axis=1, keepdims=True)
        picked = ct[rows, labels.ravel()]
        np.exp(ct, out=ct)
        total = ct.sum(axis=1, keepdims=True)
        loss = np.mean(np.log(total[:, 0]) - picked)
        ct /= total
        ct[rows, labels.ravel()] -= 1.0
        ct /= B * T
        ct = self.norm_back(self.linear_back(ct, last, "head"), norm, "last")
        for i in reversed(range(LAYERS)):
            ct = self.block_back(ct, kept[i], f"blocks.{i}")
        self.g["place.weight"] = ct.reshape(B, T, WIDTH).sum(axis=0)
        self.g["token.weight"] = np.zeros_like(self.p["token.weight"])
        np.add.at(self.g["token.weight"], tokens.ravel(), ct)
        return loss


def in_numpy(arrays: Inputs) -> Step:
    p = {name: x.copy() for name, x in parameters_of(arrays).items()}
    model, update, tokens, labels = ByHand(p), adam_in_numpy(p, RATE), arrays["tokens"], arrays["labels"]

    def step() -> Any:
        loss = model.gradient(tokens, labels)
        update(model.g)
        return loss

    return Step(step, lambda loss: [loss, *[p[name] - arrays[name] for name in sorted(p)]])


WORKLOADS = [
    Workload(
        key="gpt",
        title="tiny GPT (4 layers, d 128, 4 heads, T 64, batch 16, vocabulary 96), Adam step",
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
