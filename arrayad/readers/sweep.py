"""The sweep: cotangents from the outputs back to chosen entries, the reverse mode of differentiation.

The recording is walked from the youngest entry to the oldest.  Where nobody else asks (decided entry by entry, from
its scopes), the arithmetic runs on plain arrays; where an older transform or a trace does, the same rules run as
ordinary operations on the recorded residuals, and so are recorded in turn.

**Source** Griewank & Walther, Evaluating Derivatives, 2nd ed. (2008), chapter 3.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from arrayad.arbitrary import EXTENDED, filled
from arrayad.binding import check_finite
from arrayad.elementwise import LARGE, Elementwise
from arrayad.errors import DerivativeError
from arrayad.modes import MODES, current_mode
from arrayad.primitives.arithmetic import add
from arrayad.primitives.broadcasting import broadcast_to, reduce_sum
from arrayad.primitives.casting import astype, real
from arrayad.primitives.comparison import not_equal
from arrayad.primitives.selection import where
from arrayad.primitives.shape import reshape
from arrayad.readers.masks import Mask, both, either
from arrayad.readers.pull import passed, pulls_of
from arrayad.shaped import Bundle
from arrayad.tape import CREATE_GRAPH, Entry, Leaf, Located, Scope, collect, history_of, is_asked_for, kept
from arrayad.tensor import Tensor, handle

large_add = add.primitive.large  # type: ignore[attr-defined]


def sweep(
    seeds: Iterable[tuple[Any, Any]], targets: Iterable[Entry], scope: Scope, limit: int, release: bool = False
) -> dict[Entry, Any]:
    """The cotangents of `targets` and of leaves, given those of some outputs; what nothing reaches is missing.

    Walks the entries that depend on `scope`.  `limit` tells who may record this sweep (see `arrayad.tape.kept`).  With
    `release`, entries that nobody older asks for give up their residuals as soon as they are done with.
    """
    cotangents = Cotangents()
    seeds = list(seeds)
    for entry, ct in seeds:
        cotangents.give(entry, plain(ct), None)
    values, masks = cotangents.values, cotangents.masks
    goals = set(targets)
    anomaly = bool(MODES) and current_mode().anomaly
    usual = limit != CREATE_GRAPH and not anomaly
    with np.errstate(all="ignore"):
        for entry in reversed(collect([entry for entry, _ in seeds], scope)):
            if entry in goals or entry.primitive is None or entry.__class__ is Leaf:
                if entry in values and entry.primitive is not None and any(needed_of(entry, scope)):
                    pull(entry, values[entry], masks.get(entry), scope, limit, cotangents, False)
                continue
            ct = values.pop(entry, None)
            if ct is None:
                continue
            row, residuals = entry.primitive, entry.residuals
            if (
                usual
                and row.kind == "elementwise"
                and entry.avals is None
                and len(entry.scopes) == 1
                and ct.__class__ is not Tensor
                and residuals is not None
                and not masks
            ):
                # The usual entry: what `pull` would do, without asking what cannot be.
                for kernel, parent in zip(row.pulls or pulls_of(row), entry.parents, strict=True):
                    if kernel is not None and parent is not None and scope in parent.scopes:
                        if parent in values:
                            cotangents.give(parent, kernel(ct, residuals), None)
                        else:
                            values[parent] = kernel(ct, residuals)
                if release:
                    entry.residuals = None
                continue
            pull(entry, ct, masks.pop(entry, None), scope, limit, cotangents, release)
            if anomaly:
                check_cotangents(entry, ct, cotangents)
    return values


def pull(entry: Entry, ct: Any, mask: Mask | None, scope: Scope, limit: int, cotangents: Cotangents, release: bool) -> None:
    """Add to the operands' cotangents what this entry's brings them."""
    if entry.residuals is None:
        raise DerivativeError(
            f"[{entry.primitive.name}] this recording has been swept and released; "
            "call backward(retain_graph=True) the first time to sweep it again"
        )
    asked = limit == CREATE_GRAPH or (len(entry.scopes) > 1 and is_asked_for(entry.scopes, limit))
    row = entry.primitive
    if not asked and ct.__class__ is not Tensor and isinstance(row, Elementwise) and not is_observed(entry):
        pull_plainly(entry, ct, mask, scope, limit, cotangents)
    elif row.kind == "linear" and mask is None and len(entry.parents) == 1:
        (parent,) = entry.parents
        if parent is not None and scope in parent.scopes:
            (g,) = row.vjp((True,), as_tensor(ct), None, entry.avals[0], **entry.params)
            cotangents.give(parent, plain(g), None)
    else:
        pull_by_rule(entry, ct, mask, scope, limit, cotangents)
    if release and not asked:
        row.release(entry)


class Cotangents:
    """The cotangents on their way, by entry, and the masks of those that have structural zeros."""

    __slots__ = ("masks", "values")

    def __init__(self) -> None:
        self.values: dict[Entry, Any] = {}
        self.masks: dict[Entry, Mask] = {}

    def give(self, entry: Entry, ct: Any, mask: Mask | None) -> None:
        """Add to what has come for this entry."""
        values = self.values
        if entry not in values:
            values[entry] = ct
            if mask is not None:
                self.masks[entry] = mask
            return
        values[entry] = total(values[entry], ct)
        if self.masks:
            found = either(self.masks.pop(entry, None), mask)
            if found is not None:
                self.masks[entry] = found


def total(before: Any, ct: Any) -> Any:
    """The sum of two cotangents; those of a Bundle add part by part, where None is zero."""
    if before is None or ct is None:
        return ct if before is None else before
    if before.__class__ is Bundle:
        return Bundle(map(total, before, ct))
    if before.__class__ is Tensor or ct.__class__ is Tensor:
        return plain(add(before, ct))
    return before + ct if ct.size < LARGE else large_add(before, ct)


def plain(ct: Any) -> Any:
    """The array of an unrecorded Tensor, unless its digits are more than the kernels' constants have; any other as it is."""
    if ct.__class__ is Tensor and ct.history is None:
        value = ct.value
        return ct if value.dtype.char in EXTENDED else value
    return Bundle(map(plain, ct)) if ct.__class__ is Bundle else ct


def as_tensor(ct: Any) -> Any:
    """A cotangent as the rules take it."""
    if ct.__class__ is Bundle:
        return Bundle(map(as_tensor, ct))
    return ct if ct is None or ct.__class__ is Tensor else handle(ct)


def is_observed(entry: Entry) -> bool:
    """Whether live readers follow a residual of the entry."""
    return entry.__class__ is not Entry and any(kept.__class__ is Tensor for kept in entry.residuals)


def needed_of(entry: Entry, scope: Scope) -> list[bool]:
    """Which operands of the entry the sweep goes on to."""
    return [parent is not None and scope in parent.scopes for parent in entry.parents]


def pull_plainly(entry: Entry, ct: Any, mask: Mask | None, scope: Scope, limit: int, cotangents: Cotangents) -> None:
    """An elementwise row on plain arrays: one kernel for each operand."""
    row, residuals, avals = entry.primitive, entry.residuals, entry.avals
    pulls = row.pulls or pulls_of(row)
    for i, parent in enumerate(entry.parents):
        kernel = pulls[i]
        if parent is None or scope not in parent.scopes or kernel is None:
            continue
        g = kernel(ct, residuals)
        found = None
        if mask is not None or row.kind == "selection":
            g, found = masked_product(entry, i, g, mask, kernel is passed, limit)
        if avals is not None:
            g, found = fitted(g, avals[i], found)
        cotangents.give(parent, g, found)


def pull_by_rule(entry: Entry, ct: Any, mask: Mask | None, scope: Scope, limit: int, cotangents: Cotangents) -> None:
    """Any row by its VJP rule, written in operations; recorded as far as `limit` says."""
    row, avals = entry.primitive, entry.avals
    needed = needed_of(entry, scope)
    y, xs = residual_handles(entry, limit)
    found = row.vjp(needed, as_tensor(ct), y, *xs, **entry.params)
    for i, (parent, need, g) in enumerate(zip(entry.parents, needed, found, strict=True)):
        if parent is None or not need or g is None:
            continue
        carried = None
        if isinstance(row, Elementwise):
            if mask is not None or row.kind == "selection":
                g, carried = masked_product(entry, i, g, mask, pulls_of(row)[i] is passed, limit)
        elif row.kind == "selection" or (row.kind == "linear" and mask is not None):
            carried = transported(entry, i, ct, mask, (y, xs))
        elif row.kind == "pointwise" and mask is not None:
            g, carried = where(mask.get(), g, 0.0), mask
        elif row.kind == "reduction" and mask is not None:
            carried = repeated(entry, mask)
            g = where(carried.get(), g, 0.0)
        g = plain(g)
        if avals is not None:
            g, carried = fitted(g, avals[i], carried)
        cotangents.give(parent, g, carried)


def residual_handles(entry: Entry, limit: int) -> tuple[Any, list[Any]]:
    """Output and operands as the rules see them: recorded for whoever is older, a `Shaped` where not kept."""
    *values, output = entry.residuals
    xs = [
        (entry.avals[i] if entry.avals is not None else None) if value is None else residual_handle(value, kept(parent, limit))
        for i, (value, parent) in enumerate(zip(values, entry.parents, strict=True))
    ]
    return (None if output is None else residual_handle(output, kept(entry, limit))), xs


def residual_handle(value: Any, entry: Entry | None) -> Tensor:
    """A residual under its entry, and followed by the live readers that followed it when it was kept and still do."""
    if value.__class__ is not Tensor:
        return handle(value, entry)
    live = value.history
    return handle(value.value, history_of(entry, live.key, tuple(reader for reader in live.readers if reader.open)))


def masked_product(entry: Entry, i: int, g: Any, mask: Mask | None, constant: bool, limit: int) -> tuple[Any, Mask | None]:
    """The product of an elementwise row, zero where `mask` says so to every order, and the mask it carries on."""
    row = entry.primitive
    if mask is not None and not constant:
        g = plain(where(mask.get(), g, 0.0))
    own = None
    if row.kind == "selection":
        y, xs = residual_handles(entry, limit)
        shape = g.shape
        own = Mask(lambda: broadcast_to(row.selected(i, (*xs, y)), shape=shape))
    return g, both(own, mask)


def transported(entry: Entry, i: int, ct: Any, mask: Mask | None, residuals: tuple[Any, list[Any]]) -> Mask:
    """The mask carried back through a row that moves, selects or sums: where the row's own VJP puts anything."""
    row, params, count = entry.primitive, entry.params, len(entry.parents)
    y, xs = residuals
    shape, dtype = ct.shape, ct.dtype

    def compute(carried: Tensor | None = None) -> Tensor:
        ones = handle(filled(shape, 1, dtype)) if carried is None else astype(carried, dtype=dtype)
        needed = [j == i for j in range(count)]
        return not_equal(row.vjp(needed, ones, y, *xs, **params)[i], 0.0)

    return Mask(compute) if mask is None else Mask(compute, mask)


def repeated(entry: Entry, mask: Mask) -> Mask:
    """The mask carried back through a reduction whose derivative may be infinite: repeated along the axes reduced."""
    shape, axis = entry.avals[0].shape, entry.params["axis"]
    kept = tuple(1 if k in axis else n for k, n in enumerate(shape))
    return Mask(lambda carried: broadcast_to(reshape(carried, shape=kept), shape=shape), mask)


def fitted(g: Any, aval: Any, mask: Mask | None) -> tuple[Any, Mask | None]:
    """A cotangent reduced and cast to its operand's shape and dtype, the inverse of broadcasting, and its mask."""
    if aval.__class__ is Bundle:
        return g, mask
    if g.shape != aval.shape:
        if mask is not None:
            dtype = g.dtype
            mask = Mask(lambda wide: not_equal(sum_to(astype(wide, dtype=dtype), aval.shape), 0.0), mask)
        g = plain(sum_to(g if g.__class__ is Tensor else handle(g), aval.shape))
    if g.dtype != aval.dtype:
        g = real(g) if g.dtype.kind == "c" and aval.dtype.kind == "f" else g
        g = plain(astype(g, dtype=aval.dtype))
    return g, mask


def sum_to(ct: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Sum over the axes along which `shape` was broadcast to the cotangent's."""
    lead = ct.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(i for i in range(lead, ct.ndim) if shape[i - lead] == 1 and ct.shape[i] != 1)
    total = reduce_sum(ct, axis=axes)
    return total if total.shape == shape else reshape(total, shape=shape)


def check_cotangents(entry: Entry, ct: Any, cotangents: Cotangents) -> None:
    """Raise where a finite cotangent has become nan or infinite in this entry's rule."""
    location = entry.location if isinstance(entry, Located) else "a line that detect_anomaly() did not see"
    value = value_of(ct)
    for parent in entry.parents:
        g = cotangents.values.get(parent) if parent is not None else None
        if g is not None:
            check_finite(entry.primitive, value_of(g), [value], location, "in the reverse pass made")


def value_of(ct: Any) -> Any:
    """The values of a cotangent."""
    if ct.__class__ is Bundle:
        return Bundle(map(value_of, ct))
    return ct.value if ct.__class__ is Tensor else ct
