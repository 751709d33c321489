"""Functions of neural networks, with PyTorch's names and argument forms; `dim` and `axis` are two names of one thing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from arrayad.constants import root, written
from arrayad.errors import DTypeError, ShapeError, describe
from arrayad.functions.creation import asarray, tril
from arrayad.functions.indexing import take
from arrayad.functions.linear_algebra import matmul
from arrayad.functions.reduction import any as any_of
from arrayad.functions.reduction import floating, mean
from arrayad.functions.reduction import max as max_of
from arrayad.functions.shape import expand_dims, swapaxes
from arrayad.nn.loss_functions import cross_entropy, mse_loss, nll_loss
from arrayad.primitives import network as rows
from arrayad.primitives.arithmetic import sqrt, square
from arrayad.primitives.comparison import equal
from arrayad.primitives.exponential import sigmoid, softplus
from arrayad.primitives.selection import relu, where
from arrayad.primitives.special import gelu as exact_gelu
from arrayad.primitives.trigonometric import tanh
from arrayad.random import SHARED, Generator
from arrayad.shaped import normalize_axis
from arrayad.tensor import Tensor

ROOT_TWO_OVER_PI = written("0.79788456080286535587989211986876373695171726232986", "mp.sqrt(2 / mp.pi)")
CUBIC = written("0.044715", "mp.mpf('0.044715')")

__all__ = [
    "relu",
    "sigmoid",
    "tanh",
    "gelu",
    "silu",
    "softplus",
    "softmax",
    "log_softmax",
    "linear",
    "embedding",
    "one_hot",
    "layer_norm",
    "dropout",
    "scaled_dot_product_attention",
    "cross_entropy",
    "nll_loss",
    "mse_loss",
]


# --- activations -------------------------------------------------------------------------------------------------------


def gelu(x: Any, approximate: str = "none") -> Tensor:
    """Gaussian error linear unit: y[i] = x[i] Φ(x[i]), Φ the normal distribution function.

    **Parameters** `approximate`: "none", with all digits in the tails, or "tanh": x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))).

    **Source** D. Hendrycks, K. Gimpel, arXiv:1606.08415.

    **Example**

    >>> gelu([-1.0, 0.0, 1.0])
    Tensor([-0.15865525, 0. , 0.84134475])
    """
    x = floating(x)
    if approximate == "none":
        return exact_gelu(x)
    if approximate != "tanh":
        raise ValueError(f'[gelu] approximate is {approximate!r}; "none" or "tanh" is needed')
    return 0.5 * x * (1.0 + tanh(ROOT_TWO_OVER_PI * (x + CUBIC * x * square(x))))


def silu(x: Any) -> Tensor:
    """Sigmoid linear unit: y[i] = x[i] / (1 + e^-x[i])."""
    x = floating(x)
    return x * sigmoid(x)


def axis_of(name: str, x: Tensor, dim: int, axis: int | None) -> int:
    """The nonnegative axis that one of two names tells; a single number has one too."""
    return normalize_axis(dim if axis is None else axis, x.ndim, name)


def softmax(x: Any, dim: int = -1, *, axis: int | None = None) -> Tensor:
    """The share of each exponential in their sum along an axis, without overflow: y[j] = e^x[j] / Σ e^x[k].

    An element that is -inf has share 0; where all are, the shares are nan (0/0): mask a whole row by `where` on the result.

    **Example**

    >>> softmax([0.0, 1000.0]), softmax([[0.0, 0.0], [1.0, 1.0]], dim=0)
    (Tensor([0., 1.]), Tensor([[0.26894142, 0.26894142], [0.73105858, 0.73105858]]))
    """
    x = floating(x)
    return rows.softmax(x, axis=axis_of("softmax", x, dim, axis))


def log_softmax(x: Any, dim: int = -1, *, axis: int | None = None) -> Tensor:
    """The logarithm of `softmax`, with the digits of small shares: y[j] = x[j] - ln Σ e^x[k]."""
    x = floating(x)
    return rows.log_softmax(x, axis=axis_of("log_softmax", x, dim, axis))


# --- layers ------------------------------------------------------------------------------------------------------------


def linear(input: Any, weight: Any, bias: Any = None) -> Tensor:
    """Affine map of the last axis: y = x Wᵀ + b, `weight` of shape (out, in), `bias` of shape (out,)."""
    y = matmul(input, swapaxes(weight, -1, -2) if asarray(weight).ndim > 1 else weight)
    return y if bias is None else y + bias


def embedding(input: Any, weight: Any) -> Tensor:
    """Rows of a table: y[i, :] = weight[input[i], :].

    **Raises** `IndexError` for an index without a row, `DTypeError` unless `input` holds integers.
    """
    return take(weight, input, axis=0)


def one_hot(x: Any, num_classes: int = -1) -> Tensor:
    """Indicators of classes, int64: y[i, k] = 1 if x[i] = k else 0; a label that is no class has none.

    `num_classes` -1 counts them, which needs the values: x's largest plus 1.

    **Example**

    >>> one_hot([0, 2])
    Tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    labels = asarray(x)
    if labels.dtype.kind not in "iu":
        raise DTypeError(f"[one_hot] labels must be integers, {describe(labels)} came; use astype")
    count = int(max_of(labels).item()) + 1 if num_classes == -1 else num_classes
    return asarray(equal(expand_dims(labels, -1), np.arange(count)), np.int64)


def layer_norm(
    x: Any, normalized_shape: int | tuple[int, ...], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Tensor:
    """Each element less the mean, over the standard deviation: y = (x - mean) / √(variance + eps) · weight + bias.

    Mean and variance run over the last axes, of `normalized_shape`, in which `weight` and `bias` are.

    **Source** J. L. Ba et al., arXiv:1607.06450.
    """
    x = floating(x)
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape or x.shape[-len(shape) :] != shape:
        raise ShapeError(f"[layer_norm] x is {describe(x)}, normalized_shape {shape}; it must be that of x's last axes")
    axes = tuple(range(-len(shape), 0))
    centred = x - mean(x, axes, keepdims=True)
    y = centred / sqrt(mean(square(centred), axes, keepdims=True) + eps)
    if weight is not None:
        y = y * weight
    return y if bias is None else y + bias


def dropout(x: Any, p: float = 0.5, training: bool = True, rng: Generator | None = None) -> Tensor:
    """In training, each element 0 with probability p, else over 1 - p: y[i] = x[i] / (1 - p) or 0; else `x`.

    **Parameters** `rng`: the generator; by default the shared one (`arrayad.random.manual_seed`).

    **Source** N. Srivastava et al., J. Mach. Learn. Res. 15 (2014).
    """
    if not 0 <= p <= 1:
        raise ValueError(f"[dropout] p is {p}; a probability in [0, 1] is needed")
    x = floating(x)
    if not training or p == 0:
        return asarray(x, copy=True)
    kept = (SHARED if rng is None else rng).random(x.shape, np.float32) >= p
    return where(kept, x / max(1 - p, 2.0**-53), 0.0)


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    rng: Generator | None = None,
) -> Tensor:
    """Attention: y = softmax(Q Kᵀ scale + mask) V over the last axis.

    **Parameters** `query` (…, L, E), `key` (…, S, E), `value` (…, S, Ev); `attn_mask`, which broadcasts to (…, L, S): a
    boolean one that is true where a key is seen, or numbers that are added; `is_causal`: query i sees keys 0 … i;
    `dropout_p`: the share of the weights that is dropped, whenever it is not 0; `scale`: 1/√E by default.

    A query that sees no key by boolean masks gives 0, and no gradient; one whose added mask is -inf throughout gives nan.

    **Source** A. Vaswani et al., arXiv:1706.03762.
    """
    query, key = floating(query), floating(key)
    scores = matmul(query / root(query.shape[-1]).beside(query) if scale is None else query * scale, swapaxes(key, -1, -2))
    seen = None
    if attn_mask is not None:
        mask = asarray(attn_mask)
        if mask.dtype.kind == "b":
            seen = mask
        else:
            scores = scores + mask
    if is_causal:
        if attn_mask is not None:
            raise ValueError("[scaled_dot_product_attention] attn_mask came with is_causal; give one of them")
        seen = tril(np.ones(scores.shape[-2:], bool))
    if seen is None:
        weights = softmax(scores)
    else:
        weights = where(any_of(seen, axis=-1, keepdims=True), softmax(where(seen, scores, -math.inf)), 0.0)
    return matmul(dropout(weights, dropout_p, rng=rng), value)
