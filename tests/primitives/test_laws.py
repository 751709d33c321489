"""The laws that every row obeys.  A new row is tested by existing."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from drawing import Case, every_case, is_several, joined, normal_like

import arrayad as ad
from arrayad import kernels
from arrayad.elementwise import Elementwise
from arrayad.errors import DTypeError
from arrayad.primitive import TABLE
from arrayad.readers.pull import pulls_of
from arrayad.readers.push import like
from arrayad.readers.replay import replay
from arrayad.shaped import Bundle, Shaped, aval
from arrayad.tensor import Tensor, handle


def apply(case: Case, *operands: Any) -> Tensor:
    """The operation's output; of several the elements of all, one after another."""
    return joined(case.row.apply(*operands, **case.params))


def smooth(case: Case) -> list[int]:
    return [i for i in range(len(case.shapes)) if case.is_smooth_operand(i)]


def tangents_of(case: Case, seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [normal_like(rng, x) if case.is_smooth_operand(i) else None for i, x in enumerate(case.operands())]


def inner(a: Any, b: Any) -> np.ndarray[Any, Any]:
    """The terms of the real inner product Re Σ conj(a) b, in which gradients and tangents pair."""
    return np.asarray(np.real(np.conj(a) * b))


def along(case: Case, function: Any, operands: list[Any], tangents: list[Any]) -> np.ndarray[Any, Any]:
    """The derivative of `function` along `tangents` by central differences of order 6."""

    def at(h: float) -> np.ndarray[Any, Any]:
        return np.asarray(function(*[x if t is None else x + h * t for x, t in zip(operands, tangents, strict=True)]))

    h = 2e-3
    weights = {1: 3 / 4, 2: -3 / 20, 3: 1 / 60}
    with np.errstate(all="ignore"):
        return sum(w * (at(k * h) - at(-k * h)) for k, w in weights.items()) / h  # type: ignore[return-value]


def push(case: Case, operands: list[Any], tangents: list[Any]) -> np.ndarray[Any, Any]:
    """The row's JVP, at the output's shape and dtype."""
    y = case.row.apply(*operands, **case.params)
    t = case.row.jvp([None if t is None else handle(t) for t in tangents], y, *map(handle, operands), **case.params)
    if is_several(y):
        filled = (handle(np.zeros(part.shape)) if dot is None else dot for dot, part in zip(t, y.value, strict=True))
        return np.asarray(joined(like(Bundle(filled), y.value)))
    return np.broadcast_to(np.asarray(t), y.shape).astype(y.dtype)


def pull(case: Case, operands: list[Any], ct: Any) -> list[Any]:
    """The cotangents of the smooth operands, by the sweep."""
    chosen = smooth(case)

    def function(*primals: Tensor) -> Tensor:
        full: list[Any] = list(operands)
        for i, primal in zip(chosen, primals, strict=True):
            full[i] = primal
        return apply(case, *full)

    return list(ad.vjp(function, *(operands[i] for i in chosen))[1](ct))


def assert_close(found: Any, wanted: Any, rtol: float, scale: float | None = None) -> None:
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape
    if wanted.size:
        scale = float(np.max(np.abs(wanted))) if scale is None else scale
        np.testing.assert_allclose(found, wanted, rtol=rtol, atol=rtol * max(scale, 1e-3))


# --- the laws ------------------------------------------------------------------------------------------------------


def shape_rule_agrees_with_the_kernel(case: Case) -> None:
    for dtype in case.dtypes:
        operands = case.operands(dtype)
        result = case.row.numpy(*operands, **case.params)
        wanted = aval(result if result.__class__ is Bundle else np.asarray(result))
        assert case.row.shape(*map(aval, operands), **case.params) == wanted


def strides_do_not_matter(case: Case) -> None:
    operands = case.operands()
    wanted = np.asarray(apply(case, *operands))
    for variant in ([np.flip(np.flip(x).copy()) for x in operands], [every_other(x) for x in operands]):
        # Vector, scalar and C loops may differ in the last digits: of the result, or of the operands it is the difference of.
        eps = np.finfo(float).eps
        np.testing.assert_allclose(np.asarray(apply(case, *variant)), wanted, rtol=4 * eps, atol=2 * eps)


def every_other(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.repeat(x, 2, axis=-1)[..., ::2] if x.ndim else x


def operands_are_left_alone(case: Case) -> None:
    operands = case.operands()
    copies = [x.copy() for x in operands]
    result = apply(case, *operands)
    before = np.array(result)
    for x, copy in zip(operands, copies, strict=True):
        np.testing.assert_array_equal(x, copy)
        x[...] = np.zeros((), x.dtype)
    np.testing.assert_array_equal(np.asarray(result), before)


def a_trace_by_shapes_replays(case: Case) -> None:
    operands = case.operands()
    tape = ad.trace(lambda *xs: apply(case, *xs))(*(Shaped(x.shape, x.dtype) for x in operands))
    assert tape.outputs[0].value == aval(np.asarray(apply(case, *operands)))
    np.testing.assert_array_equal(np.asarray(replay(tape, *operands)), np.asarray(apply(case, *operands)))


def batching_agrees_with_a_loop(case: Case) -> None:
    """Whichever operands are batched, and for any number of examples, none included."""
    for flags, size in itertools.product(batches_of(case), (3, 1, 0)):
        examples, operands = batch_of(case, flags, size)
        found = case.row.batch(size, list(map(handle, operands)), flags, **case.params)
        avals = [Shaped(s, x.dtype) for s, x in zip(case.shapes, operands, strict=True)]
        wanted = parts_of(case.row.shape(*avals, **case.params))
        loops = [parts_of(case.row.apply(*example, **case.params)) for example in examples]
        for i, (y, single) in enumerate(zip(parts_of(found), wanted, strict=True)):
            assert aval_of(y) == Shaped((size, *single.shape), single.dtype), f"batched {flags}"
            if size:
                assert_agrees(y, np.stack([np.asarray(loop[i]) for loop in loops]), f"batched {flags}, {size} examples")


def batches_of(case: Case) -> list[tuple[bool, ...]]:
    """Every choice of at least one operand."""
    return [flags for flags in itertools.product((True, False), repeat=len(case.shapes)) if any(flags)]


def batch_of(case: Case, flags: tuple[bool, ...], size: int) -> tuple[list[list[Any]], list[Any]]:
    """The operands of so many examples, which differ in the flagged ones, and these stacked."""
    first = case.operands()
    drawn = [case.operands(seed=seed) for seed in range(size)]
    examples = [[x if flag else y for x, y, flag in zip(example, first, flags, strict=True)] for example in drawn]
    stacked = [
        np.stack([example[i] for example in drawn]) if flag and size else np.zeros((size, *x.shape), x.dtype) if flag else x
        for i, (x, flag) in enumerate(zip(first, flags, strict=True))
    ]
    return examples, stacked


def parts_of(y: Any) -> list[Any]:
    """The outputs of an operation, one or several."""
    if y.__class__ is Bundle:
        return list(y)
    return [handle(part) for part in y.value] if y.__class__ is Tensor and y.value.__class__ is Bundle else [y]


def aval_of(y: Any) -> Any:
    return aval(y.value if y.__class__ is Tensor else y)


def assert_agrees(found: Any, wanted: Any, what: str) -> None:
    # Loops over other axes, and products of matrices of other sizes, may add in another order.
    eps = float(np.finfo(wanted.dtype).eps) if wanted.dtype.kind in "fc" else 0.0
    np.testing.assert_allclose(np.asarray(found), wanted, rtol=8 * eps, atol=8 * eps, err_msg=what)


def batches_of_batches_agree_with_loops(case: Case) -> None:
    """The first operand is batched outside, all of them inside: rules run on what other rules have made."""
    count = len(case.shapes)
    drawn = [[case.operands(seed=10 * i + j) for j in range(2)] for i in range(3)]
    inner = [np.stack([case_operands[i] for case_operands in drawn[0]]) for i in range(count)]
    inner[0] = np.stack([np.stack([case_operands[0] for case_operands in row]) for row in drawn])
    twice = ad.vmap(ad.vmap(lambda *xs: apply(case, *xs)), in_axes=(0,) + (None,) * (count - 1))
    found = twice(*inner)
    wanted = [[np.asarray(apply(case, drawn[i][j][0], *drawn[0][j][1:])) for j in range(2)] for i in range(3)]
    assert_agrees(found, np.stack([np.stack(row) for row in wanted]), "a batch of batches")


LAWS = [
    shape_rule_agrees_with_the_kernel,
    strides_do_not_matter,
    operands_are_left_alone,
    a_trace_by_shapes_replays,
    batching_agrees_with_a_loop,
    batches_of_batches_agree_with_loops,
]


@pytest.mark.parametrize("row", TABLE.values(), ids=repr)
def test_every_row_has_a_batching_rule(row: Any) -> None:
    """Also those without samples, which only other rows' tests reach."""
    assert row.batch is not None, f"[{row.name}] declare the row's batch: batch(size, operands, batched, **params)"


@pytest.mark.parametrize("case", every_case(), ids=repr)
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_every_row(law: Any, case: Case) -> None:
    law(case)


def jvp_agrees_with_differences(case: Case) -> None:
    operands, tangents = case.operands(), tangents_of(case, 1)
    wanted = along(case, lambda *xs: apply(case, *xs), operands, tangents)
    # Rounding of the output over the step: 2e-16 / 2e-3 and some digits for the stencil, in the output's own precision.
    assert_close(push(case, operands, tangents), wanted, rtol=5e7 * float(np.finfo(wanted.dtype).eps))


def vjp_is_the_transpose_of_jvp(case: Case) -> None:
    """<ct, J t> = <Jᵀ ct, t>: exact but for rounding, so no step size and a tight tolerance."""
    operands, tangents = case.operands(), tangents_of(case, 2)
    jt = push(case, operands, tangents)
    eps = float(np.finfo(jt.dtype).eps)
    ct = normal_like(np.random.default_rng(3), jt)
    pulled = pull(case, operands, ct)
    left = float(np.sum(inner(ct, jt)))
    terms = [inner(g, tangents[i]) for g, i in zip(pulled, smooth(case), strict=True)]
    scale = float(np.sum(np.abs(ct * jt))) + sum(float(np.sum(np.abs(term))) for term in terms)
    assert abs(left - sum(float(np.sum(term)) for term in terms)) <= 5e3 * eps * (scale + 1e-300)
    for g, i in zip(pulled, smooth(case), strict=True):
        assert g.shape == case.shapes[i] and g.dtype == case.dtypes[0] and g.history is None


def second_derivatives_agree_with_differences(case: Case) -> None:
    operands, tangents = case.operands(), tangents_of(case, 4)
    chosen = smooth(case)
    ct = normal_like(np.random.default_rng(5), apply(case, *operands))
    weights = [tangents[i] for i in chosen]

    def weighted(*primals: Any) -> Tensor:
        full = list(operands)
        for i, primal in zip(chosen, primals, strict=True):
            full[i] = primal
        total = ad.tensor(0.0)
        for g, w in zip(pull(case, full, ct), weights, strict=True):
            total = total + ad.sum(ad.real(ad.conj(g) * w))
        return total

    primals = [operands[i] for i in chosen]
    found = ad.grad(weighted, argnums=tuple(range(len(primals))))(*primals)
    directions = [normal_like(np.random.default_rng(6 + i), x) for i, x in enumerate(primals)]
    wanted = float(along(case, lambda *xs: weighted(*xs), primals, directions))
    terms = [inner(g, d) for g, d in zip(found, directions, strict=True)]
    scale = max(1.0, sum(float(np.sum(np.abs(term))) for term in terms))
    assert abs(sum(float(np.sum(term)) for term in terms) - wanted) <= 1e-7 * scale


def derivatives_of_batches_agree_with_a_loop(case: Case) -> None:
    """The VJP of the batch, and the batch of the VJPs."""
    flags = (True,) * len(case.shapes)
    examples, operands = batch_of(case, flags, 3)
    chosen = smooth(case)
    y = apply(case, *examples[0])
    cts = normal_like(np.random.default_rng(8), np.zeros((3, *y.shape), y.dtype))
    wanted = [pull(case, example, ct) for example, ct in zip(examples, cts, strict=True)]

    def batched(*primals: Tensor) -> Tensor:
        full: list[Any] = list(operands)
        for i, primal in zip(chosen, primals, strict=True):
            full[i] = primal
        return ad.vmap(lambda *xs: apply(case, *xs))(*full)

    outside = ad.vjp(batched, *(operands[i] for i in chosen))[1](cts)
    inside = ad.vmap(lambda ct, *xs: pull(case, list(xs), ct))(cts, *operands)
    for i, (first, second) in enumerate(zip(outside, inside, strict=True)):
        loop = np.stack([np.asarray(g[i]) for g in wanted])
        assert_close(first, loop, rtol=1e-13)
        assert_close(second, loop, rtol=1e-13)


def single_precision_stays_single(case: Case) -> None:
    short = case.dtypes[1]
    operands = [handle(x) for x in case.operands(short)]
    y = apply(case, *operands)
    if y.dtype in (np.float32, np.complex64):
        for g, i in zip(pull(case, operands, np.ones(y.shape, y.dtype)), smooth(case), strict=True):
            assert g.dtype == short and g.shape == case.shapes[i]


DERIVATIVE_LAWS = [
    jvp_agrees_with_differences,
    vjp_is_the_transpose_of_jvp,
    second_derivatives_agree_with_differences,
    derivatives_of_batches_agree_with_a_loop,
    single_precision_stays_single,
]


@pytest.mark.parametrize("case", every_case(differentiable=True), ids=repr)
@pytest.mark.parametrize("law", DERIVATIVE_LAWS, ids=lambda law: law.__name__)
def test_every_differentiable_row(law: Any, case: Case) -> None:
    law(case)


def takes_reals(case: Case) -> bool:
    """Whether an operand is of floating point, and the row says of no complex one that it takes it.

    Decompositions of complex matrices up to the phases of vectors are under no law here, but tested where they stand.
    """
    return not case.row.samples.complex and not case.row.samples.lapack and any(x.dtype.kind == "f" for x in case.operands())


@pytest.mark.parametrize("case", [case for case in every_case() if takes_reals(case)], ids=repr)
def test_rows_of_real_numbers_refuse_complex_ones(case: Case) -> None:
    """Also those that NumPy computes of complex numbers in some way: an order, a sum of squares."""
    operands = [x.astype("complex128") if x.dtype.kind == "f" else x for x in case.operands()]
    with pytest.raises(DTypeError, match=rf"^\[{case.row.name}\] "):
        apply(case, *operands)


ELEMENTWISE = [row for row in TABLE.values() if isinstance(row, Elementwise)]


@pytest.mark.parametrize("row", [row for row in ELEMENTWISE if row.differentiable], ids=repr)
@pytest.mark.parametrize("backend", ["numpy", "c"])
def test_large_reverse_kernels_agree_with_the_rule(row: Elementwise, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The generated kernels of the sweep, NumPy's and C's, against the rule run as recorded operations."""
    if backend == "c" and kernels.why_not_native is not None:
        pytest.skip(f"no C backend: {kernels.why_not_native}")
    case = Case(row, ((kernels.LARGE * 2,),) * row.arity, {})
    for pull_by in pulls_of(row):
        large = getattr(pull_by, "__globals__", {}).get("large")
        if large is not None:
            monkeypatch.setattr(large, "c_threshold", 0)  # C, also where NumPy is as fast
    operands = case.operands()
    ct = np.random.default_rng(7).standard_normal(case.shapes[0])
    with kernels.backend(backend):
        found = pull(case, operands, ct)
    with kernels.backend("numpy"):
        y = apply(case, *operands)
        wanted = row.vjp([case.is_smooth_operand(i) for i in range(row.arity)], handle(ct), y, *map(handle, operands))
    for g, i in zip(found, smooth(case), strict=True):
        np.testing.assert_allclose(np.asarray(g), np.asarray(wanted[i]), rtol=2e-14, atol=1e-300)
