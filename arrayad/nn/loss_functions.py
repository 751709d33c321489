"""Losses, with PyTorch's names, argument forms and reductions.  In the formulas c runs over the classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.errors import DTypeError, ShapeError, describe
from arrayad.functions.creation import asarray
from arrayad.functions.indexing import take, take_along_axis
from arrayad.functions.reduction import floating, mean
from arrayad.functions.reduction import sum as sum_of
from arrayad.functions.shape import expand_dims, moveaxis, squeeze
from arrayad.primitives import network as rows
from arrayad.primitives.arithmetic import square
from arrayad.primitives.comparison import equal, logical_and, not_equal
from arrayad.primitives.selection import where
from arrayad.shaped import is_abstract
from arrayad.tensor import Tensor


def reduce(name: str, losses: Tensor, reduction: str, weights: Tensor | None = None) -> Tensor:
    """All losses, their sum, or their mean, which `weights` weigh that are in the losses already."""
    if reduction == "none":
        return losses
    if reduction == "sum":
        return sum_of(losses)
    if reduction != "mean":
        raise ValueError(f'[{name}] reduction is {reduction!r}; "mean", "sum" or "none" is needed')
    return mean(losses) if weights is None else sum_of(losses) / sum_of(weights)


def classes_last(name: str, x: Any) -> Tensor:
    """Scores of shape (C,), (N, C) or (N, C, d1, …) with the classes on the last axis."""
    x = floating(x)
    if x.ndim == 0 or x.shape[min(1, x.ndim - 1)] == 0:
        raise ShapeError(f"[{name}] input is {describe(x)}; (C,), (N, C) or (N, C, d1, …) is needed, C >= 1")
    return moveaxis(x, 1, -1) if x.ndim > 2 else x


def class_labels(name: str, x: Tensor, target: Any) -> Tensor:
    """Labels checked against scores whose last axis is that of the classes."""
    labels = asarray(target)
    if labels.dtype.kind not in "iu":
        raise DTypeError(f"[{name}] labels must be integers, {describe(labels)} came; use astype")
    if labels.shape != x.shape[:-1]:
        raise ShapeError(
            f"[{name}] input is {describe(x)} with the classes last, labels {describe(labels)}; the other axes must agree"
        )
    return labels


def class_weights(name: str, x: Tensor, weight: Any) -> Tensor | None:
    """One weight for each class, or None."""
    if weight is None:
        return None
    weight = asarray(weight)
    if weight.shape != x.shape[-1:]:
        raise ShapeError(f"[{name}] weight is {describe(weight)}; one weight for each of {x.shape[-1]} classes is needed")
    return weight


def row_weights(labels: Tensor, weight: Tensor | None, ignore_index: int, dtype: Any) -> Tensor:
    """The weight of each row: that of its class, 0 where it is ignored."""
    counted = not_equal(labels, ignore_index)
    if weight is None:
        return asarray(counted, dtype)
    return where(counted, take(weight, where(counted, labels, 0)), 0.0)


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross entropy of logits with labels or with probabilities: l[n] = -Σ target[n, c] weight[c] ln softmax(input[n])[c].

    **Parameters** `input`: logits of shape (C,), (N, C) or (N, C, d1, …); `target`: integer labels in that shape less C, or
    probabilities in the whole; `weight`: one for each class; `ignore_index`: a label whose rows count for nothing, whatever
    they hold; `reduction`: "mean" (with labels, weighted and of what is not ignored: nan if that is nothing), "sum" or
    "none"; `label_smoothing` e: the target becomes (1 - e) target + e / C.

    **Raises** `IndexError` for a label that is no class, and names its row.

    A logit that is -inf is a class that cannot be: its gradient is 0, and a row of this label has loss inf.

    **Example**

    >>> cross_entropy([[0.0, 0.0], [0.0, 1.0]], [0, 1])
    Tensor(0.50320443)
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"[cross_entropy] label_smoothing is {label_smoothing}; a share in [0, 1] is needed")
    x = classes_last("cross_entropy", input)
    weight = class_weights("cross_entropy", x, weight)
    target = asarray(target)
    if target.dtype.kind == "f":
        losses = against_probabilities(x, classes_last("cross_entropy", target), weight, label_smoothing)
        return reduce("cross_entropy", losses, reduction)
    labels = class_labels("cross_entropy", x, target)
    losses = rows.cross_entropy(x, labels, ignore_index=ignore_index)
    shares = None
    if weight is not None or may_be_ignored(labels, ignore_index):
        shares = row_weights(labels, weight, ignore_index, x.dtype)
    if weight is not None:
        losses = where(not_equal(labels, ignore_index), losses * shares, 0.0)
    if label_smoothing:
        spread = rows.log_softmax(x, axis=x.ndim - 1)
        spread = -mean(spread if weight is None else spread * weight, axis=-1)
        spread = where(not_equal(labels, ignore_index), spread, 0.0)
        losses = (1 - label_smoothing) * losses + label_smoothing * spread
    return reduce("cross_entropy", losses, reduction, shares)


def may_be_ignored(labels: Tensor, ignore_index: int) -> bool:
    """Whether a row may be ignored: as long as labels are recorded, others may come when the program is replayed."""
    if labels.history is not None or is_abstract(labels.value):
        return True
    return bool((labels.value == ignore_index).any())


def against_probabilities(x: Tensor, target: Tensor, weight: Tensor | None, label_smoothing: float) -> Tensor:
    """The losses of rows whose target is a probability for each class; one that cannot be and need not be costs nothing."""
    if target.shape != x.shape:
        raise ShapeError(f"[cross_entropy] input is {describe(x)}, the probabilities {describe(target)}; the shapes must agree")
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / x.shape[-1]
    logarithms = rows.log_softmax(x, axis=x.ndim - 1)
    logarithms = where(logical_and(equal(target, 0.0), equal(logarithms, -np.inf)), 0.0, logarithms)
    products = logarithms * target
    return -sum_of(products if weight is None else products * weight, axis=-1)


def nll_loss(input: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> Tensor:
    """Negative log-likelihood of labels: l[n] = -weight[target[n]] input[n, target[n]], of logarithms of probabilities.

    **Parameters** and **Raises** as in `cross_entropy`, which is this of `log_softmax` and both faster and safer.
    """
    x = classes_last("nll_loss", input)
    weight = class_weights("nll_loss", x, weight)
    labels = class_labels("nll_loss", x, target)
    counted = not_equal(labels, ignore_index)
    if not is_abstract(labels.value):
        wrong = np.argwhere(((labels.value < 0) | (labels.value >= x.shape[-1])) & (labels.value != ignore_index))
        if len(wrong):
            place = tuple(map(int, wrong[0]))
            raise IndexError(
                f"[nll_loss] the label of row {place[0] if len(place) == 1 else place} is {labels.value[place]}; "
                f"labels must be from 0 to {x.shape[-1] - 1}"
            )
    picked = squeeze(take_along_axis(x, expand_dims(where(counted, labels, 0), -1), axis=-1), -1)
    shares = row_weights(labels, weight, ignore_index, x.dtype)
    return reduce("nll_loss", where(counted, -(picked * shares), 0.0), reduction, shares)


def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Tensor:
    """Squared error: l[i] = (input[i] - target[i])².

    **Raises** `ShapeError` unless the shapes agree: broadcasting here is nearly always a mistake.
    """
    x, y = floating(input), floating(target)
    if x.shape != y.shape:
        raise ShapeError(f"[mse_loss] input is {describe(x)}, target {describe(y)}; the shapes must agree")
    return reduce("mse_loss", square(x - y), reduction)
