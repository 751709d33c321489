"""Kernels of training: cross entropy with class labels, and the steps of SGD and Adam; complete in NumPy, faster in C."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.kernels import native, pool
from arrayad.kernels.axes import suits_c

__all__ = ["adam", "cross_entropy", "cross_entropy_vjp", "sgd"]

Array = np.ndarray[Any, Any]

CROSS_ENTROPY, CROSS_ENTROPY_VJP, SGD, ADAM = map(native.function, ("cross_entropy", "cross_entropy_vjp", "sgd", "adam"))

# What stands for "no label is ignored": no array has so many columns that this could be one.
NOTHING = np.iinfo(np.int64).min


# --- cross entropy ------------------------------------------------------------------------------------------------------


def check_labels(x: Array, labels: Array, ignored: int) -> None:
    """Raise IndexError for the first label that is neither a column of x nor `ignored`."""
    wrong = np.flatnonzero(((labels < 0) | (labels >= x.shape[1])) & (labels != ignored))
    if wrong.size:
        row = int(wrong[0])
        raise IndexError(
            f"[cross_entropy] the label of row {row} is {labels[row]}; labels must be from 0 to {x.shape[1] - 1}, "
            "the columns of the logits."
        )


def labels_suit_c(x: Array, labels: Array) -> bool:
    return suits_c(x) and labels.dtype == np.int64 and labels.flags.c_contiguous


def cross_entropy(x: Array, labels: Array, ignored: int = NOTHING) -> Array:
    """Loss of each row of logits: y[r] = log(sum over k of exp(x[r, k])) - x[r, labels[r]], and 0 where labels[r] = ignored.

    **Parameters** `x`, rows x cols, float32 or float64, cols >= 1; `labels`, integers, one for each row.
    **Raises** IndexError for a label that is no column.

    **Example**

    >>> cross_entropy(np.array([[0.0, 0.0], [0.0, -1e3]]), np.array([1, 0])).tolist()
    [0.6931471805599453, 0.0]
    """
    if labels_suit_c(x, labels):
        out = pool.empty(x.shape[:1], x.dtype)
        code = CROSS_ENTROPY(native.DTYPES[x.dtype], *x.shape, *map(native.pointer, (out, x, labels)), ignored)
        if code != native.BAD_LABEL and native.done(code):
            return out
    check_labels(x, labels, ignored)
    is_kept = labels != ignored
    largest = x.max(axis=1)
    largest[~np.isfinite(largest)] = 0.0
    picked = x[np.arange(len(x)), np.where(is_kept, labels, 0)]
    with np.errstate(divide="ignore"):
        loss = np.log(np.exp(x - largest[:, None]).sum(axis=1)) - (picked - largest)
    return np.where(is_kept, loss, x.dtype.type(0))


def cross_entropy_vjp(ct: Array, x: Array, labels: Array, ignored: int = NOTHING) -> Array:
    """The VJP of cross_entropy by x: ct[r] (softmax(x[r])[j] - [j = labels[r]]), and 0 where labels[r] = ignored."""
    if labels_suit_c(x, labels) and ct.dtype == x.dtype and ct.flags.c_contiguous:
        out = pool.empty(x.shape, x.dtype)
        code = CROSS_ENTROPY_VJP(native.DTYPES[x.dtype], *x.shape, *map(native.pointer, (out, ct, x, labels)), ignored)
        if code != native.BAD_LABEL and native.done(code):
            return out
    check_labels(x, labels, ignored)
    is_kept = labels != ignored
    out = np.exp(x - x.max(axis=1, keepdims=True))
    out /= out.sum(axis=1, keepdims=True)
    out[np.arange(len(x)), np.where(is_kept, labels, 0)] -= 1.0
    out *= ct[:, None]
    out[~is_kept] = 0.0
    return out


# --- optimisers ---------------------------------------------------------------------------------------------------------


def suit_c_together(p: Array, *others: Array) -> bool:
    return suits_c(p) and all(x.shape == p.shape and x.dtype == p.dtype and x.flags.c_contiguous for x in others)


def sgd(
    p: Array,
    g: Array,
    velocity: Array | None = None,
    *,
    learning_rate: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
) -> tuple[Array, Array | None]:
    """One step of SGD, as PyTorch means it: the new parameters and the new velocity, which is None without momentum.

    g' = g + weight_decay p;  v' = momentum v + (1 - dampening) g', or g' at the first step, whose `velocity` is None;
    p' = p - learning_rate (g' + momentum v' if nesterov, else v').
    """
    velocity = velocity if momentum else None  # of a momentum that was switched off
    kept = () if velocity is None else (velocity,)
    if suit_c_together(p, g, *kept):
        new_p = pool.empty(p.shape, p.dtype)
        new_velocity = pool.empty(p.shape, p.dtype) if momentum else None
        places = (native.NULL if a is None else native.pointer(a) for a in (new_p, new_velocity, p, g, velocity))
        scalars = (learning_rate, momentum, dampening, weight_decay, nesterov)
        if native.done(SGD(native.DTYPES[p.dtype], p.size, *places, *scalars)):
            return new_p, new_velocity
    if weight_decay:
        g = g + weight_decay * p
    if not momentum:
        return p - learning_rate * g, None
    new_velocity = g.copy() if velocity is None else momentum * velocity + (1.0 - dampening) * g
    return p - learning_rate * (g + momentum * new_velocity if nesterov else new_velocity), new_velocity


def adam(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    *,
    learning_rate: float,
    beta1: float,
    beta2: float,
    epsilon: float,
    correction1: float,
    correction2: float,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> tuple[Array, Array, Array]:
    """One step of Adam, or of AdamW if `decoupled`: the new parameters, and the new means of the gradient and its square.

    g' = g + weight_decay p, or decoupled p <- (1 - learning_rate weight_decay) p;
    m' = m + (1 - beta1)(g' - m);  v' = beta2 v + (1 - beta2) g'²;
    p' = p - learning_rate / correction1 · m' / (√v' / √correction2 + epsilon), where correction_i = 1 - beta_i^step.

    **Source** Kingma and Ba, arXiv:1412.6980; Loshchilov and Hutter, arXiv:1711.05101.
    """
    if suit_c_together(p, g, m, v):
        new = (pool.empty(p.shape, p.dtype), pool.empty(p.shape, p.dtype), pool.empty(p.shape, p.dtype))
        places = map(native.pointer, (*new, p, g, m, v))
        scalars = (learning_rate, beta1, beta2, epsilon, weight_decay, decoupled, correction1, correction2)
        if native.done(ADAM(native.DTYPES[p.dtype], p.size, *places, *scalars)):
            return new
    if weight_decay and not decoupled:
        g = g + weight_decay * p
    kept = p * (1.0 - learning_rate * weight_decay) if decoupled else p
    m = m + (1.0 - beta1) * (g - m)
    v = beta2 * v + (1.0 - beta2) * (g * g)
    return kept - learning_rate / correction1 * (m / (np.sqrt(v) / correction2**0.5 + epsilon)), m, v
