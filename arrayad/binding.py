"""`bind`: what happens when an operation is applied, whatever its operands and the mode.

Rows of the elementwise kind build a shorter path of their own for the usual case (`arrayad.elementwise`) and come here
for everything else: arrays and lists among the operands, traces, abstract values, modes.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np

from arrayad.errors import AbstractValueError, AnomalyError, DTypeError, ShapeError, describe, user_line
from arrayad.modes import MODES, PLAIN, current_mode
from arrayad.shaped import WEAK, aval, is_abstract, is_weak
from arrayad.tape import Entry, Located, Trace, Traced, merge, next_serial
from arrayad.tensor import Tensor, freeze, handle, tensors_in


def bind(primitive: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Tensor:
    """Apply `primitive` to `args`: Tensors, arrays, nested lists or Python numbers; record it where somebody asks."""
    operands = tuple(operand(arg, primitive) for arg in args)
    values = [x.value if x.__class__ is Tensor else x for x in operands]
    recorded = [x.history for x in operands if x.__class__ is Tensor and x.history is not None]
    mode = current_mode() if MODES else PLAIN
    trace = innermost_trace(recorded)
    if any(map(is_abstract, values)):
        if trace is None:
            raise AbstractValueError(f"[{primitive.name}] a value known only by shape was used after its trace had ended")
        try:
            result = primitive.shape(*map(aval, values), **params)
        except (ValueError, TypeError) as error:
            raise explained(primitive, values, error) from None
    else:
        with np.errstate(all="ignore") if mode.anomaly else nullcontext():
            result = unshared(compute(primitive, values, params), args)
        if mode.anomaly:
            check_finite(primitive, result, values)
    if not recorded or (trace is None and (mode.quiet or not is_recordable(primitive, result))):
        return handle(result)
    entry = new_entry(primitive, args, operands, values, params, result, mode, trace)
    return handle(result, entry)


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
    if value.dtype.kind not in "biufc":
        raise DTypeError(f"[{primitive.name}] an array of numbers was needed, {type(arg).__name__} {str(arg)[:40]!r} came")
    return handle(value)


def compute(primitive: Any, values: list[Any], params: dict[str, Any]) -> Any:
    """The value of the operation, with NumPy's complaints put into our words."""
    try:
        return primitive.compute(*values, **params)
    except (ValueError, TypeError) as error:
        raise explained(primitive, values, error) from None


def explained(primitive: Any, values: Any, error: Exception) -> Exception:
    """The error that names the operation and what came, made of NumPy's."""
    if isinstance(error, ShapeError | DTypeError | AbstractValueError):
        return error
    came = ", ".join(
        f"{name} is {describe(value)}" for name, value in zip(primitive.operand_names(len(values)), values, strict=True)
    )
    if isinstance(error, TypeError):
        return DTypeError(f"[{primitive.name}] these dtypes do not fit: {came}; use astype ({error})")
    if "broadcast" in str(error):
        return ShapeError(f"[{primitive.name}] shapes do not broadcast: {came}; counted from the last, axes must agree or be 1")
    if "negative integer powers" in str(error):
        return DTypeError(f"[{primitive.name}] integers have no negative integer powers: {came}; use astype")
    return ShapeError(f"[{primitive.name}] {error}: {came}")


def unshared(result: Any, args: tuple[Any, ...]) -> Any:
    """The result itself, or a copy where it shares memory with an array that the caller may change."""
    if result.__class__ is np.ndarray:
        for arg in args:
            if arg is result or (isinstance(arg, np.ndarray) and np.may_share_memory(arg, result)):
                return result.copy()
    return result


def is_recordable(primitive: Any, result: Any) -> bool:
    """Whether a derivative of this result can be asked for."""
    return bool(primitive.differentiable and result.dtype.kind in "fc")


def innermost_trace(recorded: list[Entry]) -> Trace | None:
    """The youngest open trace that the operands belong to."""
    traces = [entry.trace for entry in recorded if isinstance(entry, Traced) and entry.trace.open]
    return max(traces, key=lambda trace: trace.serial) if traces else None


def new_entry(
    primitive: Any,
    args: tuple[Any, ...],
    operands: tuple[Any, ...],
    values: list[Any],
    params: dict[str, Any],
    result: Any,
    mode: Any,
    trace: Trace | None,
) -> Entry:
    """Record one operation."""
    entry = Traced() if trace is not None else Located() if mode.anomaly else Entry()
    entry.serial = next_serial()
    entry.primitive = primitive
    entry.params = params
    entry.parents = tuple(x.history if x.__class__ is Tensor else None for x in operands)
    entry.scopes = merge(parent.scopes for parent in entry.parents if parent is not None)
    if mode.quiet or not is_recordable(primitive, result):
        entry.scopes = frozenset(scope for scope in entry.scopes if isinstance(scope, Trace))
    entry.avals = tuple(map(aval, values))
    wanted = primitive.wanted(entry.parents)
    for i, arg in enumerate(args):
        if arg.__class__ is not Tensor and isinstance(values[i], np.ndarray) and (trace is not None or i in wanted):
            values[i] = freeze(values[i])
            operands[i].value = values[i]
    entry.residuals = tuple(residual(value, result) if i in wanted else None for i, value in enumerate((*values, result)))
    if isinstance(entry, Located):
        entry.location = user_line()
    if isinstance(entry, Traced):
        entry.trace = trace  # type: ignore[assignment]
        entry.inputs = tuple(handle(x.value, x.history) if x.__class__ is Tensor else x for x in operands)
        entry.output = aval(result)
    return entry


def residual(value: Any, result: Any) -> Any:
    """A value to be kept: a Python number in the dtype that it took."""
    return result.dtype.type(value) if is_weak(value) else value


def check_finite(primitive: Any, result: Any, values: list[Any], location: str | None = None, doing: str = "made") -> None:
    """Raise where finite operands gave a nan or an infinity."""
    if is_finite(result) or not all(map(is_finite, values)):
        return
    found = "nan" if np.isnan(result).any() else "inf"
    operands = ", ".join(map(describe, values))
    raise AnomalyError(f"[{primitive.name}] {doing} {found} of finite {operands}, recorded at {location or user_line()}")


def is_finite(value: Any) -> bool:
    """Whether no element is nan or infinite; abstract values and integers are."""
    if value is None or is_abstract(value):
        return True
    return bool(np.isfinite(value).all())
