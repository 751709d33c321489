"""`bind`: what happens when an operation is applied, whatever its operands and the mode.

Rows of the elementwise kind build a shorter path of their own for the usual case (`arrayad.elementwise`) and come here
for everything else: arrays and lists among the operands, traces, abstract values, modes.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from arrayad.allowance import charged
from arrayad.arbitrary import array_in, stored, taken
from arrayad.errors import AbstractValueError, AnomalyError, ArrayadError, DTypeError, ShapeError, describe, user_line
from arrayad.modes import MODES, PLAIN, Mode, Switch, current_mode
from arrayad.shaped import WEAK, Bundle, aval, is_abstract
from arrayad.tape import (
    Entry,
    Key,
    Live,
    Located,
    Observed,
    Trace,
    Traced,
    Unfollowed,
    by_age,
    merge,
    next_serial,
    recorded,
    with_entry,
)
from arrayad.tensor import Tensor, freeze, handle, tensors_in
from arrayad.tracing import program_value


def bind(primitive: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Tensor:
    """Apply `primitive` to `args`: Tensors, arrays, nested lists or Python numbers; record it where somebody asks."""
    mode = current_mode() if MODES else PLAIN
    capture = mode.capture
    if capture is not None:
        args = capture.lifted(primitive, args)
    operands = tuple(operand(arg, primitive) for arg in args)
    values = [x.value if x.__class__ is Tensor else x for x in operands]
    histories = [x.history for x in operands if x.__class__ is Tensor and x.history is not None]
    entries = [recorded(history) for history in histories]
    trace = innermost_trace(entries)
    if any(map(is_abstract, values)):
        if trace is None:
            raise AbstractValueError(
                f"[{primitive.name}] {known_by_shape(values)}, known only by shape, was used after its trace had ended; "
                "return it from the traced function"
            )
        try:
            result = primitive.shape(*map(aval, values), **params)
        except (ValueError, TypeError) as error:
            raise explained(primitive, values, error) from None
    else:
        with surroundings(mode, primitive):
            result = unshared(compute(primitive, values, params), args)
        if mode.anomaly:
            check_finite(primitive, result, values)
        if capture is not None:
            result = capture.told_apart(result)
    followed = not mode.quiet and is_recordable(primitive, result)
    readers = live_readers(histories, trace) if followed else ()
    if not followed and histories:
        Unfollowed.count += 1
    out = handle(result)
    if readers:
        out.history = Live(None, Key(), readers)
    if (followed or trace is not None) and any(entry is not None for entry in entries):
        entry = new_entry(primitive, args, operands, params, out, followed, trace)
        out.history = with_entry(out.history, entry)
        if capture is not None:
            capture.keep(result, entry)
    for reader in readers:
        reader.see(primitive, operands, out, params)
    return out


def known_by_shape(values: list[Any]) -> str:
    """The abstract values among some, in words."""
    return ", ".join(describe(value) for value in values if is_abstract(value))


def operand(arg: Any, primitive: Any) -> Any:
    """A Tensor as it is, a Python number as it is for rows that take weak ones, anything else as an unrecorded Tensor."""
    if arg.__class__ is Tensor or (arg.__class__ in WEAK and primitive.takes_weak):
        return arg
    if isinstance(arg, list | tuple) and any(x.history is not None for x in tensors_in(arg)):
        raise DTypeError(f"[{primitive.name}] a {type(arg).__name__} of recorded Tensors came; make one of them with stack")
    try:
        value = np.asarray(arg)
    except ValueError as error:
        raise ShapeError(f"[{primitive.name}] {type(arg).__name__} is not an array: {error}") from None
    if value.dtype.kind not in "biufcO":
        raise DTypeError(f"[{primitive.name}] an array of numbers was needed, {type(arg).__name__} {str(arg)[:40]!r} came")
    return handle(stored(value))


def surroundings(mode: Mode, primitive: Any) -> AbstractContextManager[Any]:
    """Where a kernel runs: functions of the user's that it calls back are no part of the trace that lifts what it meets."""
    if mode.capture is not None and primitive.calls_back:
        return Switch(capture=None)
    return np.errstate(all="ignore") if mode.anomaly else nullcontext()


def compute(primitive: Any, values: list[Any], params: dict[str, Any]) -> Any:
    """The value of the operation, with NumPy's complaints put into our words."""
    try:
        return primitive.compute(*values, **params)
    except (ValueError, TypeError) as error:
        raise explained(primitive, values, error) from None


def explained(primitive: Any, values: Any, error: Exception) -> Exception:
    """The error that names the operation and what came, made of NumPy's; what a user's function raises, as it is."""
    if isinstance(error, ArrayadError) or primitive.calls_back:
        return error
    came = ", ".join(
        f"{name} is {describe(value)}" for name, value in zip(primitive.operand_names(len(values)), values, strict=True)
    )
    if isinstance(error, TypeError):
        complex_came = any(
            value.__class__ is complex or getattr(aval(value), "dtype", np.dtype(bool)).kind == "c" for value in values
        )
        cure = "take abs, real or imag" if complex_came else "use astype"
        return DTypeError(f"[{primitive.name}] these dtypes do not fit: {came}; {cure} ({error})")
    if "broadcast" in str(error):
        return ShapeError(f"[{primitive.name}] shapes do not broadcast: {came}; counted from the last, axes must agree or be 1")
    if "negative integer powers" in str(error):
        return DTypeError(f"[{primitive.name}] integers have no negative integer powers: {came}; use astype")
    return ShapeError(f"[{primitive.name}] {error}: {came}")


def unshared(result: Any, args: tuple[Any, ...]) -> Any:
    """The result itself, or a copy where it shares memory with an array that the caller may change."""
    if result.__class__ is Bundle:
        return Bundle(unshared(part, args) for part in result)
    if result.__class__ is np.ndarray:
        for arg in args:
            if arg is result or (isinstance(arg, np.ndarray) and np.may_share_memory(arg, result)):
                return result.copy()
    return result


def is_recordable(primitive: Any, result: Any) -> bool:
    """Whether a derivative of this result can be asked for."""
    if result.__class__ is Bundle:
        return bool(primitive.differentiable) and any(is_recordable(primitive, part) for part in result)
    return bool(primitive.differentiable and result.dtype.kind in "fcO")


def innermost_trace(entries: Iterable[Entry | None]) -> Trace | None:
    """The youngest open trace that the operands belong to."""
    traces = [entry.trace for entry in entries if isinstance(entry, Traced) and entry.trace.open]
    return max(traces, key=lambda trace: trace.serial) if traces else None


def live_readers(histories: list[Any], trace: Trace | None) -> tuple[Any, ...]:
    """The live readers of the operands, the oldest first; of a traced operation only those opened inside the trace."""
    found = {reader for history in histories if history.__class__ is Live for reader in history.readers}
    if not found:
        return ()
    since = 0 if trace is None else trace.serial
    return tuple(sorted((reader for reader in found if reader.open and reader.serial > since), key=by_age))


def new_entry(
    primitive: Any,
    args: tuple[Any, ...],
    operands: tuple[Any, ...],
    params: dict[str, Any],
    out: Tensor,
    followed: bool,
    trace: Trace | None,
) -> Entry:
    """Record one operation; one that is not `followed`, for its derivative's sake, is recorded for traces alone."""
    parents = tuple(recorded(x.history) if x.__class__ is Tensor else None for x in operands)
    wanted = primitive.wanted(parents)
    for i, (arg, x) in enumerate(zip(args, operands, strict=True)):
        if arg.__class__ is not Tensor and isinstance(x, Tensor) and (trace is not None or i in wanted):
            x.value = freeze(x.value)
    residuals = tuple(residual(x, out.value) if i in wanted else None for i, x in enumerate((*operands, out)))
    observed = any(kept.__class__ is Tensor for kept in residuals)
    entry = kind_of_entry(trace is not None, observed)()
    entry.serial = next_serial()
    entry.primitive = primitive
    entry.params = params
    entry.parents = parents
    entry.scopes = merge(parent.scopes for parent in parents if parent is not None)
    if not followed:
        entry.scopes = frozenset(scope for scope in entry.scopes if isinstance(scope, Trace))
    entry.avals = tuple(aval(x.value if x.__class__ is Tensor else x) for x in operands)
    allowance = current_mode().allowance if trace is None else None
    entry.residuals = residuals if allowance is None else charged(residuals, allowance)
    if isinstance(entry, Located):
        entry.location = user_line()
    if isinstance(entry, Traced):
        entry.trace = trace  # type: ignore[assignment]
        entry.inputs = tuple(program_value(x, trace) if x.__class__ is Tensor else x for x in operands)  # type: ignore[arg-type]
        entry.output = aval(out.value)
    return entry


def kind_of_entry(traced: bool, observed: bool) -> type[Entry]:
    """The class of an entry that is made now."""
    mode = current_mode()
    if traced:
        return Traced
    if mode.anomaly:
        return Located
    return Observed if observed else Entry


def residual(x: Any, result: Any) -> Any:
    """An operand or the output as it is kept: its value, a number in the dtype that it took; a Tensor where readers follow it."""
    if x.__class__ is not Tensor:
        return taken(x, result.dtype)
    if x.history.__class__ is Live:
        return handle(x.value, Live(None, x.history.key, x.history.readers))
    return x.value


def check_finite(primitive: Any, result: Any, values: list[Any], location: str | None = None, doing: str = "made") -> None:
    """Raise where finite operands gave a nan or an infinity."""
    if is_finite(result) or not all(map(is_finite, values)):
        return
    found = (
        "nan" if any(np.isnan(array_in(part)).any() for part in (result if result.__class__ is Bundle else (result,))) else "inf"
    )
    operands = ", ".join(map(describe, values))
    raise AnomalyError(f"[{primitive.name}] {doing} {found} of finite {operands}, recorded at {location or user_line()}")


def is_finite(value: Any) -> bool:
    """Whether no element is nan or infinite; abstract values and integers are."""
    if value is None or is_abstract(value):
        return True
    if value.__class__ is Bundle:
        return all(map(is_finite, value))
    return bool(np.isfinite(array_in(value)).all())
