"""What grad, vjp, value_and_grad and backward mean, nested in each other and in loops."""

from __future__ import annotations

import dataclasses
import gc
from collections import namedtuple
from operator import methodcaller
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import DerivativeError, DTypeError, ShapeError
from arrayad.tape import Entry


def entries() -> int:
    """How many entries are alive."""
    gc.collect()
    return sum(isinstance(found, Entry) for found in gc.get_objects())


def test_perturbations_are_not_confused() -> None:
    """d/dx (x · d/dy (x + y)) at x = y = 1 is 1."""
    assert ad.grad(lambda x: x * ad.grad(lambda y: x + y)(1.0))(1.0).item() == 1.0


def test_nested_at_the_same_point() -> None:
    def outer(x: Any) -> Any:
        return ad.grad(lambda y: y * x * x)(x) * x  # x³

    assert ad.grad(outer)(2.0).item() == 12.0


def test_backward_on_a_leaf_of_its_own_inside_an_outer_grad() -> None:
    def outer(x: Any) -> Any:
        w = ad.tensor(3.0, requires_grad=True)
        loss = x**2 * w**3
        loss.backward()
        assert w.grad.detach().item() == pytest.approx(4.0 * 27.0)
        return w.grad * x  # 3 w² x³

    assert ad.grad(outer)(2.0).item() == pytest.approx(9 * 9 * 4.0)


def test_a_tensor_that_escaped_a_finished_transform_is_a_constant_in_the_next() -> None:
    escaped = []

    def first(x: Any) -> Any:
        escaped.append(x * x)
        return x * 3.0

    ad.grad(first)(2.0)
    assert ad.grad(lambda y: y * escaped[0])(5.0).item() == 4.0
    assert ad.grad(ad.grad(lambda y: y * y * escaped[0]))(5.0).item() == 8.0


def test_a_running_sum_of_losses_keeps_no_graph() -> None:
    before, total = entries(), 0.0
    for step in range(50):
        loss, _ = ad.value_and_grad(lambda w: ad.sum(ad.sin(w) * w))(np.full(3, float(step)))
        total = total + loss
    assert isinstance(total, ad.Tensor) and total.history is None
    assert entries() == before


def test_an_inner_grad_in_a_loop_keeps_memory_flat() -> None:
    counts = []

    def outer(x: Any) -> Any:
        y = x
        for _ in range(20):
            y = y - 0.1 * ad.grad(lambda z: z**2 * x)(y)
            counts.append(sum(isinstance(found, Entry) for found in gc.get_objects()))
        return y

    ad.grad(outer)(1.0)
    steps = np.diff(counts)
    assert steps[5:].max() <= steps[2] + 2  # what the outer transform keeps of a step, the same each time


def test_vjp_fn_twice_later_and_inside_another_transform() -> None:
    y, vjp_fn = ad.vjp(lambda a, b: a * ad.exp(b), 2.0, 0.5)
    first, second = vjp_fn(1.0), vjp_fn(1.0)
    assert [g.item() for g in first] == [g.item() for g in second]
    assert first[1].item() == pytest.approx(y.item()) and y.history is None

    def of_cotangent(c: Any) -> Any:
        return vjp_fn(c * c)[0]

    assert ad.grad(of_cotangent)(3.0).item() == pytest.approx(6.0 * np.exp(0.5))

    def through_the_primal(x: Any) -> Any:
        return ad.vjp(lambda a: a**3, x)[1](1.0)[0]

    assert ad.grad(through_the_primal)(2.0).item() == pytest.approx(12.0)


def test_an_array_changed_after_the_forward_pass_changes_nothing() -> None:
    given, captured = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    _, vjp_fn = ad.vjp(lambda x: ad.sum(x * x * captured), given)
    given[:], captured[:] = 100.0, 100.0
    np.testing.assert_array_equal(vjp_fn(1.0)[0], [6.0, 16.0])
    leaf = ad.tensor([1.0, 2.0], requires_grad=True)
    array = np.array([5.0, 6.0])
    y = array * leaf
    array[:] = 0.0
    y.sum().backward()
    np.testing.assert_array_equal(leaf.grad, [5.0, 6.0])


def test_outputs_are_recorded_only_for_whoever_is_older() -> None:
    seen = []

    def outer(x: Any) -> Any:
        value, gradient = ad.value_and_grad(lambda y: y**3)(x)
        constant, _ = ad.value_and_grad(lambda y: y**3)(7.0)
        seen.extend([value, gradient, constant])
        return gradient

    result = ad.grad(outer)(2.0)
    assert seen[0].history is not None and seen[1].history is not None and seen[2].history is None
    assert result.item() == 12.0 and result.history is None


def test_third_derivatives_and_create_graph() -> None:
    f = ad.sin
    for wanted in (np.cos(0.3), -np.sin(0.3), -np.cos(0.3), np.sin(0.3)):
        f = ad.grad(f)
        assert f(0.3).item() == pytest.approx(wanted, rel=1e-14)
    x = ad.tensor(2.0, requires_grad=True)
    (x**4.0).backward(create_graph=True)
    first, x.grad = x.grad, None
    first.backward()
    assert first.item() == 32.0 and x.grad.item() == 48.0


def test_gradients_inside_no_grad() -> None:
    with ad.no_grad():
        assert ad.grad(lambda v: v * v)(3.0).item() == 6.0
        assert ad.vjp(lambda v: v * v, 3.0)[1](1.0)[0].item() == 6.0
        leaf = ad.tensor(2.0, requires_grad=True)
        value, gradient = ad.value_and_grad(lambda v: v * leaf)(3.0)
        assert value.history is None and gradient.history is None and gradient.item() == 2.0


def test_gradients_that_came_the_same_way_are_two_tensors() -> None:
    def f(v: Any) -> Any:
        a, b = ad.grad(lambda p, q: ad.sum((p + q) ** 2), (0, 1))(v, v)
        a *= 10.0
        return ad.sum(b)

    np.testing.assert_array_equal(ad.grad(f)(np.array([1.0, 2.0])), [4.0, 4.0])


def test_an_array_that_is_passed_through_is_copied() -> None:
    array = np.ones(3)
    (_, kept), _ = ad.vjp(lambda v: (v * 2.0, array), 1.0)
    array[0] = 7.0
    np.testing.assert_array_equal(kept, 1.0)


# --- trees, argnums, aux -------------------------------------------------------------------------------------------

Pair = namedtuple("Pair", "a b")


@dataclasses.dataclass
class Layer:
    w: Any
    b: Any


def test_arguments_and_results_may_be_trees() -> None:
    def f(params: Any, x: Any) -> Any:
        return ad.sum(params["l"].w * x + params["l"].b) + params["p"].a * params["p"].b[0]

    params = {"l": Layer(np.array([1.0, 2.0]), np.array(0.5)), "p": Pair(2.0, [3.0, None])}
    g = ad.grad(f)(params, np.array([3.0, 4.0]))
    np.testing.assert_array_equal(g["l"].w, [3.0, 4.0])
    assert isinstance(g["l"], Layer) and isinstance(g["p"], Pair) and g["p"].b[1] is None
    assert g["l"].b.item() == 2.0 and g["p"].a.item() == 3.0 and g["p"].b[0].item() == 2.0
    out, vjp_fn = ad.vjp(lambda x: {"s": ad.sin(x), "c": (ad.cos(x),)}, 1.0)
    (g,) = vjp_fn({"s": 1.0, "c": (2.0,)})
    assert g.item() == pytest.approx(np.cos(1) - 2 * np.sin(1)) and set(out) == {"s", "c"}


def test_argnums_and_aux() -> None:
    def f(x: Any, y: Any, scale: float = 1.0) -> Any:
        return x * y * y * scale, {"seen": x + y, "text": "kept"}

    (value, aux), (gy, gx) = ad.value_and_grad(f, argnums=(1, 0), has_aux=True)(2.0, 3.0, scale=10.0)
    assert (value.item(), gy.item(), gx.item()) == (180.0, 120.0, 90.0)
    assert aux["text"] == "kept" and aux["seen"].history is None
    g, aux = ad.grad(f, argnums=-1, has_aux=True)(2.0, 3.0)
    assert g.item() == 12.0
    with pytest.raises(TypeError, match="argnums is 2, but 2 positional"):
        ad.grad(f, argnums=2)(2.0, 3.0)
    with pytest.raises(TypeError, match="pair"):
        ad.grad(lambda x: x, has_aux=True)(1.0)


def test_unused_arguments_have_zero_gradients_and_say_so() -> None:
    with pytest.warns(UserWarning, match=r"^\[grad\] the result does not depend on b, so that the derivative is 0") as caught:
        a, b = ad.grad(lambda a, b: a * 2.0, argnums=(0, 1))(1.0, np.ones((2, 3), np.float32))
    assert [w.filename for w in caught] == [__file__]
    assert a.item() == 2.0 and b.shape == (2, 3) and b.dtype == np.float32 and not np.any(np.asarray(b))
    with pytest.warns(UserWarning, match="depend on x"):
        assert ad.grad(lambda x: 3.0)(1.0).item() == 0.0


UNUSED = {
    "grad": (lambda: ad.grad(lambda a, b: ad.sin(a), 1)(1.0, 2.0), r"\[grad\].* on b,"),
    "value_and_grad": (lambda: ad.value_and_grad(lambda a, b: 1.0, (0, 1))(1.0, 2.0), r"\[grad\].* on a and b,"),
    "vjp": (lambda: ad.vjp(lambda a, b: (ad.sin(a), 2.0), 1.0, 2.0)[1]((1.0, 1.0)), r"\[vjp\].* on b,"),
    "jacobian": (lambda: ad.jacobian(lambda a, b: ad.sin(a), (0, 1))(1.0, 2.0), r"\[jacobian\].* on b,"),
    "jacrev": (lambda: ad.jacrev(lambda a: ad.ones(3))(np.ones(2)), r"\[jacobian\].* on a,"),
    "a tree": (lambda: ad.grad(lambda p, q: ad.sin(p["w"]), (0, 1))({"w": 1.0}, {"w": 1.0, "b": 2.0}), r"on q,"),
    "an integer row": (lambda: ad.grad(lambda x, y: ad.sum(ad.ones(3)[np.array([0, 1])] * x), 1)(1.0, 2.0), "on y,"),
}


@pytest.mark.parametrize("name", UNUSED)
def test_who_says_that_an_argument_is_not_used(name: str) -> None:
    run, message = UNUSED[name]
    with pytest.warns(UserWarning, match=message) as caught:
        run()
    assert len({(w.filename, w.lineno) for w in caught}) == 1 and caught[0].filename == __file__


LINEAR = np.array([1.0, 2.0])

INTENDED_ZEROS = {
    "an unused leaf of an argument": lambda: ad.grad(lambda p: p["w"] * 2.0)({"w": 1.0, "b": 1.0}),
    "some outputs of some arguments": lambda: ad.jacobian(lambda a, b: (ad.sin(a), ad.cos(b)), (0, 1))(1.0, 2.0),
    "hessian of a linear function": lambda: ad.hessian(lambda x: ad.sum(LINEAR * x))(LINEAR),
    "grad of the grad of one": lambda: ad.grad(ad.grad(lambda x: 3.0 * x))(1.0),
    "grad of its jvp": lambda: ad.grad(lambda x: ad.jvp(lambda y: 3.0 * y, (x,), (1.0,))[1])(1.0),
    "hvp of one": lambda: ad.hvp(lambda x: ad.sum(LINEAR * x), LINEAR, LINEAR),
    "jvp": lambda: ad.jvp(lambda x: 3.0, (1.0,), (1.0,)),
    "jet": lambda: ad.jet(lambda x: 3.0, (1.0,), ([1.0],)),
    "inside vmap": lambda: ad.vmap(ad.grad(lambda x: 3.0))(LINEAR),
    "inside grad": lambda: ad.grad(lambda x: x * x + ad.grad(lambda y: 3.0)(x))(1.0),
    "a step": lambda: ad.grad(lambda x: ad.where(x > 0, 1.0, 2.0))(1.0),
    "a whole number": lambda: ad.grad(ad.floor)(1.5),
    "a position": lambda: ad.grad(lambda x: ad.astype(ad.argmax(x), np.float64))(LINEAR),
    "a stopped gradient": lambda: ad.grad(lambda x: ad.stop_gradient(x) * 2.0)(1.0),
    "the transpose of a rule": lambda: ad.grad(ad.numerical.differentiable(lambda x, y: y, argnums=1), (0, 1))(1.0, 2.0),
    "a product with zero": lambda: ad.grad(lambda x: 0.0 * x)(1.0),
}


@pytest.mark.parametrize("name", INTENDED_ZEROS)
def test_zeros_that_are_meant_say_nothing(name: str) -> None:
    INTENDED_ZEROS[name]()  # a warning would be an error


def test_integer_arguments_are_refused_by_name() -> None:
    def f(weights: object, steps: object) -> object:
        return ad.sum(weights) * steps

    w = np.ones(2)
    for transform, name in (
        (lambda: ad.grad(f, 1)(w, 3), "grad"),
        (lambda: ad.value_and_grad(f, (0, 1))(w, 3), "grad"),
        (lambda: ad.jacobian(f, 1)(w, 3), "jacobian"),
        (lambda: ad.vjp(f, w, 3), "vjp"),
        (lambda: ad.jvp(f, (w, 3), (w, 1.0)), "jvp"),
        (lambda: ad.linearize(f, w, 3), "linearize"),
        (lambda: ad.jet(f, (w, 3), ([w], [1.0])), "jet"),
        (lambda: ad.elementwise_grad(f, 1)(w, 3), "grad"),
    ):
        with pytest.raises(DTypeError, match=rf"^\[{name}\] argument steps is i64\[\]; derivatives are of floating-point"):
            transform()
    np.testing.assert_array_equal(
        np.asarray(ad.grad(f)(w, 3)), [3.0, 3.0]
    )  # which they may well be, beside what is differentiated


@pytest.mark.parametrize(
    "take",
    [float, int, bool, methodcaller("item"), methodcaller("numpy"), np.asarray],
    ids="float int bool item numpy asarray".split(),
)
def test_a_value_taken_out_of_a_differentiated_function_warns_at_that_line(take: object) -> None:
    def f(x: object) -> object:
        y = x * 2.0
        return x * take(y)  # here

    run = {"grad": lambda: ad.grad(f)(1.5), "jvp": lambda: ad.jvp(f, (1.5,), (1.0,)), "jacobian": lambda: ad.jacrev(f)(1.5)}
    for transform in run.values():
        if take is bool:
            transform()  # a branch, which is followed
            continue
        with pytest.warns(UserWarning, match="of a value inside a running transform gives a constant") as caught:
            transform()
        lines = Path(__file__).read_text().splitlines()
        assert {lines[w.lineno - 1].strip() for w in caught} == {"return x * take(y)  # here"}


# --- backward ------------------------------------------------------------------------------------------------------


def test_backward_adds_up_and_releases() -> None:
    x = ad.tensor([1.0, 2.0], requires_grad=True)
    y = ad.sum(x * x)
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_array_equal(x.grad, [4.0, 8.0])
    with pytest.raises(DerivativeError, match="retain_graph=True"):
        y.backward()
    x.grad = None
    (x * 3.0).backward([1.0, 10.0])
    np.testing.assert_array_equal(x.grad, [3.0, 30.0])


def test_backward_errors() -> None:
    x = ad.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ShapeError, match=r"cotangent is needed for f64\[2\]"):
        (x * x).backward()
    with pytest.raises(ShapeError, match=r"the cotangent is f64\[3\], the output f64\[2\]"):
        (x * x).backward(np.ones(3))
    with pytest.raises(DerivativeError, match="depends on no leaf"):
        ad.tensor(1.0).backward()
    with pytest.raises(DTypeError, match=r"only floating-point Tensors have gradients, i64\[\]"):
        ad.tensor(1, requires_grad=True)


def test_errors_of_transforms() -> None:
    with pytest.raises(DTypeError, match=r"argument x is i64\[\]; derivatives are of floating-point"):
        ad.grad(lambda x: x * 1.0)(3)
    with pytest.raises(DTypeError, match=r"argument \w+\['n'\] is bool\[2\]"):
        ad.grad(lambda p: ad.sum(p["x"]))({"x": 1.0, "n": np.array([True, False])})
    with pytest.raises(ShapeError, match=r"must return a scalar, it returned f64\[2\]"):
        ad.grad(lambda x: x)(np.ones(2))
    with pytest.raises(TypeError, match="the result is function; a transformed function must return arrays"):
        ad.grad(lambda x: lambda y: x * y)(1.0)
    with pytest.raises(ShapeError, match="the output is a tree"):
        ad.vjp(lambda x: (x, x), 1.0)[1](1.0)


def test_no_grad_and_enable_grad() -> None:
    x = ad.tensor(2.0, requires_grad=True)
    with ad.no_grad():
        assert (x * x).history is None
        with ad.enable_grad():
            assert (x * x).requires_grad
        assert ad.sum(x * x).history is None
        x -= 0.5
    assert x.item() == 1.5 and x.is_leaf and x.requires_grad
    assert (x * x).requires_grad

    @ad.no_grad()
    def f(y: Any) -> Any:
        return y * y

    assert f(x).history is None
    with pytest.raises(DerivativeError, match="leaf that requires grad"):
        x += 1.0


def test_anomalies_name_the_operation_and_the_line() -> None:
    here = __file__
    with ad.detect_anomaly(), pytest.raises(FloatingPointError, match=rf"\[log\] made nan .*{here}:\d+"):
        ad.log(ad.tensor(-1.0))
    x = ad.tensor(0.0, requires_grad=True)
    with ad.detect_anomaly():
        y = ad.sqrt(x)
        with pytest.raises(FloatingPointError, match=rf"\[sqrt\] in the reverse pass made inf .*{here}:\d+"):
            y.backward()


# --- structural zeros ----------------------------------------------------------------------------------------------

MASKED = {
    "directly": lambda x: ad.where(x > 0, ad.sqrt(x), 0.0),
    "after a product": lambda x: ad.where(x > 0, ad.sqrt(x) * 3.0, 0.0),
    "after a reshape": lambda x: ad.where(ad.reshape(x, (1, 3)) > 0, ad.reshape(ad.sqrt(x), (1, 3)), 0.0),
    "after broadcasting": lambda x: ad.where((x > 0) * ad.ones((2, 3)) > 0, ad.sqrt(x) + ad.zeros((2, 3)), 0.0),
    "two selections": lambda x: ad.where(x > 0, ad.maximum(ad.sqrt(x), 0), 0.0),
}


@pytest.mark.parametrize("name", MASKED)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_no_nan_comes_from_a_branch_not_taken(name: str) -> None:
    def f(x: Any) -> Any:
        return ad.sum(MASKED[name](x))

    x = np.array([0.0, -1.0, 4.0])
    first = np.asarray(ad.grad(f)(x))
    assert np.all(first[:2] == 0.0) and first[2] > 0
    second = np.asarray(ad.grad(lambda x: ad.sum(ad.grad(f)(x)))(x))
    assert np.all(second[:2] == 0.0) and second[2] < 0
    leaf = ad.tensor(x, requires_grad=True)
    f(leaf).backward()
    np.testing.assert_array_equal(leaf.grad, first)


def test_a_zero_that_is_merely_a_number_promises_nothing() -> None:
    assert ad.grad(lambda x: ad.sqrt(x) ** 2)(1.0).item() == pytest.approx(1.0)
    with np.errstate(all="ignore"):
        assert np.isnan(ad.grad(lambda x: 0.0 * ad.sqrt(x))(0.0).item())


def test_a_relu_network_pays_nothing_for_its_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    from arrayad.readers import masks

    def never(self: Any) -> Any:
        raise AssertionError("a mask was computed")

    monkeypatch.setattr(masks.Mask, "get", never)
    w1, w2, b = (
        ad.tensor(np.ones((4, 8)), requires_grad=True),
        ad.tensor(np.ones((8, 2)), requires_grad=True),
        ad.tensor(np.ones(8), requires_grad=True),
    )
    y = ad.sum(ad.nn.functional.relu(np.ones((5, 4)) @ w1 + b) @ w2)
    y.backward()
    assert w1.grad.shape == (4, 8)


@pytest.mark.parametrize("transform", [ad.grad, ad.value_and_grad, ad.jacobian])
def test_argnums_that_are_no_positions_are_explained(transform):
    with pytest.raises(TypeError, match=r"argnums is 'x'; the position of an argument is needed"):
        transform(lambda x: x, "x")(1.0)
