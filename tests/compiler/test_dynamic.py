"""Named dimensions: one program for all sizes, and the results of the programs that are made for each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad import nn, optim, tree
from arrayad.compiler.any_size import other_sizes
from arrayad.compiler.dynamic import Family, Form, entry_of, kind_of
from arrayad.compiler.executable import Executable, learn
from arrayad.nn import functional
from arrayad.shaped import Shaped
from arrayad.tracing import Tape, record


def array(*shape: int, seed: int = 0, dtype: str = "float64") -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def misses() -> int:
    """How often the compiler has been called."""
    return int(ad.cache.stats()["misses"])


# --- forms ---------------------------------------------------------------------------------------------------------------

TEXT = """#include <string.h>
/* {comment} */
static void kernel_0(void *context, int64_t part)
{{
    const int64_t *table = b[1];
    /* numbers of this size */
    for (int64_t i0 = 0; i0 < {n}; ++i0) b0[i0 + 7] = b1[{n} * i0] * {mean}f + {wide};
}}
"""


def text(n: int, wide: str = "INT64_C(5)", comment: str = "a.py:3") -> str:
    return TEXT.format(n=n, mean=repr(float(np.float32(1 / n))), wide=wide, comment=comment)


def form_of(*texts: str) -> tuple[Family, Form]:
    family = Family()
    for each in texts:
        family.learn(each)
    (form,) = family.forms.values()
    return family, form


def test_numbers_that_differ_are_read_from_the_table_and_others_stay() -> None:
    family, form = form_of(text(32), text(48))
    made = form.text()
    assert "i0 < n0_;" in made and "b1[n0_ * i0] * n1_ + INT64_C(5)" in made and "i0 + 7" in made
    assert "const int64_t n0_ = table[0];" in made and "const float n1_ = (float)real_at(table + 1);" in made
    n, mean = form.table(family.form(text(60))[1])
    assert n == 60
    assert np.float32(np.array(mean).view(np.float64)) == np.float32(1 / 60)


def test_a_text_of_which_one_alone_is_known_stays_as_it_is() -> None:
    assert form_of(text(32), text(32))[1].text() == text(32)


def test_what_is_known_fits_and_what_varies_for_the_first_time_does_not() -> None:
    family, form = form_of(text(32), text(48))
    assert form.fits(family.form(text(60))[1])
    assert form.fits(family.form(text(60, comment="b.py:4"))[1])
    assert not form.fits(family.form(text(60, wide="INT64_C(6)"))[1])
    family.learn(text(60, wide="INT64_C(6)"))
    assert "+ n2_" in form.text()


def test_numbers_that_agreed_by_chance_part_when_they_differ() -> None:
    family, form = form_of(text(32, "INT64_C(32)"), text(48, "INT64_C(48)"), text(60, "INT64_C(61)"))
    assert form.table(family.form(text(9, "INT64_C(10)"))[1])[0::2] == [9, 10]


@pytest.mark.parametrize(
    ("number", "kind", "value"),
    [
        ("12", "int64_t", 12),
        ("INT64_C(12)", "int64_t", 12),
        ("UINT64_C(18446744073709551615)", "uint64_t", -1),
        ("0.5", "double", int(np.float64(0.5).view(np.int64))),
        ("1e-05f", "float", int(np.float64(1e-5).view(np.int64))),
        ("/* 12 */", "", None),
    ],
)
def test_kinds_of_numbers(number: str, kind: str, value: int | None) -> None:
    assert kind_of(number) == kind
    if value is not None:
        assert entry_of(number) == value


def test_other_sizes_part_dimensions_first_then_keep_equal_ones_equal_then_keep_divisors() -> None:
    apart, together, multiples = other_sizes({"a": 32, "b": 7, "c": 32})
    assert all(other["a"] != other["c"] and other["a"] != 32 for other in apart)
    assert all(other["a"] == other["c"] != 32 for other in together)
    assert all(other["a"] % 32 == 0 and other["b"] % 7 == 0 for other in multiples)


# --- programs ------------------------------------------------------------------------------------------------------------

W1, W2 = array(20, 16, seed=1, dtype="float32") * 0.3, array(16, 5, seed=2, dtype="float32") * 0.3


def network(x: Any, w1: Any, w2: Any) -> Any:
    return -ad.mean(functional.log_softmax(ad.tanh(x @ w1) @ w2, axis=-1)[:, 0])


def attention(q: Any, k: Any, v: Any) -> Any:
    """Causal, of (heads, T, width)."""
    n = q.shape[-2]
    scores = q @ ad.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    return functional.softmax(ad.where(np.tril(np.ones((n, n), bool)), scores, -1e9), axis=-1) @ v


def joined(x: Any) -> Any:
    y = ad.concat([x[1:], ad.flip(x, axis=0), x[: x.shape[0] // 2]], axis=0)
    return y[::2] * 2.0 + ad.sum(x[-1])


def placed(x: Any) -> Any:
    y = x * 1.0
    y[-1] = 0.0
    y[: x.shape[0] // 2] *= 3.0
    return ad.roll(y, 1, axis=0) + ad.pad(x[1:], [(1, 0), (0, 0)])


FUNCTIONS: dict[str, tuple[Any, Any]] = {
    "network": (
        ad.value_and_grad(network, argnums=(1, 2)),
        lambda n: [array(n, 20, dtype="float32"), W1, W2],
    ),
    "attention": (attention, lambda n: [array(2, n, 4, seed=s) for s in range(3)]),
    "gradient of attention": (
        ad.grad(lambda q, k, v: ad.sum(attention(q, k, v) ** 2), argnums=(0, 1, 2)),
        lambda n: [array(2, n, 4, seed=s) for s in range(3)],
    ),
    "sums": (lambda x: (ad.sum(x, axis=0), ad.mean(x, axis=1), ad.max(x), ad.var(x, axis=0)), lambda n: [array(n, 3)]),
    "sums along the last axis": (
        lambda x: (ad.sum(x, axis=1), ad.std(x, axis=0), ad.prod(ad.cos(x), axis=1)),
        lambda n: [array(3, n)],
    ),
    "softmax": (lambda x: functional.softmax(x, axis=0) + functional.log_softmax(x, axis=1), lambda n: [array(n, 5)]),
    "scan": (
        lambda x: ad.scan(lambda c, row: (ad.tanh(c * 0.5 + row), ad.sum(c)), ad.zeros(3), x),
        lambda n: [array(n, 3)],
    ),
    "gradient of a scan": (
        ad.grad(lambda x: ad.sum(ad.scan(lambda c, row: (ad.tanh(c * 0.5 + row), ad.sum(c * row)), ad.zeros(3), x)[1])),
        lambda n: [array(n, 3)],
    ),
    "concat and slices": (joined, lambda n: [array(n, 3)]),
    "gradient of concat and slices": (ad.grad(lambda x: ad.sum(ad.sin(joined(x)))), lambda n: [array(n, 3)]),
    "set": (placed, lambda n: [array(n, 4)]),
    "running sums": (lambda x: ad.cumulative_sum(x, axis=0) + ad.sort(x, axis=0), lambda n: [array(n, 2)]),
    "layer norm": (
        ad.grad(
            lambda x: ad.sum(
                functional.gelu((x - ad.mean(x, axis=-1, keepdims=True)) / ad.sqrt(ad.var(x, axis=-1, keepdims=True) + 1e-5))
            )
        ),
        lambda n: [array(n, 8, dtype="float32")],
    ),
    "positions": (lambda x: ad.take(x, ad.argmax(x, axis=0), axis=0), lambda n: [array(n, 3)]),
    "two axes": (lambda x: ad.sum(x @ ad.swapaxes(x, 0, 1), axis=0) / x.shape[0], lambda n: [array(n, 7)]),
    "elementwise": (lambda x, y: ad.exp(-x * y) + ad.arange(x.shape[0]), lambda n: [array(n), array(n, seed=1)]),
}

SIZES = (24, 25, 2, 3, 16, 7, 8, 40, 130, 513, 1000, 60)


def tape_of(function: Any, operands: list[Any]) -> Tape:
    return record(lambda *xs: tree.leaves(function(*xs)), [Shaped(x.shape, x.dtype) for x in operands])


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_programs_of_a_family_give_what_programs_of_their_own_give(name: str) -> None:
    function, make = FUNCTIONS[name]
    family = Family()
    for n in (25, 39, 53):
        learn(tape_of(function, make(n)), family)
    for n in SIZES:
        operands = make(n)
        tape = tape_of(function, operands)
        wanted = Executable(tape)(list(operands))
        for found, expected in zip(Executable(tape, {}, family)(list(operands)), wanted, strict=True):
            scale = np.abs(expected).max(initial=0)
            eps = np.finfo(expected.dtype).eps if expected.dtype.kind == "f" else 0
            np.testing.assert_allclose(found, expected, rtol=64 * eps, atol=16 * eps * scale, strict=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_second_size_compiles_nothing(name: str, private_cache: Any) -> None:
    function, make = FUNCTIONS[name]
    names = "abc"[: len(make(3))]
    axes = {"network": {"a": {0: "n"}}, "attention": {key: {1: "n"} for key in names}}
    axes["gradient of attention"] = axes["attention"]
    wrapped = {1: lambda a: function(a), 2: lambda a, b: function(a, b), 3: lambda a, b, c: function(a, b, c)}[len(names)]
    along = {1: "n"} if name == "sums along the last axis" else {0: "n"}
    compiled = ad.compile(wrapped, dynamic=axes.get(name, dict.fromkeys(names, along)))
    compiled(*make(24))
    before = misses()
    for n in (26, 30, 21, 37):
        found, wanted = compiled(*make(n)), wrapped(*make(n))
        for x, y in zip(tree.leaves(found), tree.leaves(wanted), strict=True):
            scale = float(np.abs(np.asarray(y)).max())
            rounding = 1e-12 if y.dtype == np.float64 else 1e-5
            np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=rounding, atol=rounding * scale, strict=True)
        found = compiled(*make(n))  # by the program: what came first was computed in the trace
        for x, y in zip(tree.leaves(found), tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=rounding, atol=rounding * scale, strict=True)
    assert misses() == before


def trained(compiles: bool, sizes: tuple[int, ...]) -> tuple[list[float], list[Any]]:
    model = nn.Sequential(
        nn.Linear(4, 16, rng=ad.random.default_rng(0)), nn.Tanh(), nn.Linear(16, 3, rng=ad.random.default_rng(1))
    )
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def step(x: Any, labels: Any) -> Any:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    run = ad.compile(step, dynamic={"x": {0: "batch"}, "labels": {0: "batch"}}) if compiles else step
    losses = []
    for i, n in enumerate(sizes):
        labels = np.random.default_rng(i).integers(0, 3, n)
        losses.append(run(ad.tensor(array(n, 4, seed=i)), ad.tensor(labels)).item())
    return losses, [p.numpy() for p in model.parameters()]


@pytest.mark.slow
def test_training_with_batches_of_many_sizes(private_cache: Any) -> None:
    """State goes on from size to size, and trying other sizes leaves no trace in it."""
    sizes = (32, 32, 20, 33, 32, 1, 20, 33, 41, 33, 20)
    losses, weights = trained(True, sizes)
    expected, others = trained(False, sizes)
    np.testing.assert_allclose(losses, expected, rtol=1e-10)
    for x, y in zip(weights, others, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-8, atol=1e-10)


@pytest.mark.slow
def test_lengths_of_nothing_and_one_are_programs_of_their_own(private_cache: Any) -> None:
    compiled = ad.compile(lambda x: ad.sum(x * x, axis=0) + ad.ones(3), dynamic={"x": 0})
    for n in (5, 1, 0, 9, 1, 0, 5):
        x = array(n, 3)
        np.testing.assert_allclose(compiled(x).numpy(), (x * x).sum(0) + 1, rtol=1e-14)


@pytest.mark.slow
def test_axes_of_one_length_may_part(private_cache: Any) -> None:
    compiled = ad.compile(lambda x, y: ad.sum(x) * y + ad.mean(y), dynamic={"x": 0, "y": 0})
    for n, m in ((12, 12), (12, 12), (13, 9), (9, 20), (13, 9)):
        x, y = array(n), array(m, seed=1)
        np.testing.assert_allclose(compiled(x, y).numpy(), x.sum() * y + y.mean(), rtol=1e-12)


@pytest.mark.slow
def test_every_dimension_may_vary(private_cache: Any) -> None:
    compiled = ad.compile(lambda x, w: ad.tanh(x @ w), dynamic=True)
    for n, k, m in ((6, 4, 5), (7, 4, 5), (6, 5, 7), (9, 8, 10)):
        x, w = array(n, k), array(k, m, seed=1)
        for _ in range(2):
            np.testing.assert_allclose(compiled(x, w).numpy(), np.tanh(x @ w), rtol=1e-13)


@pytest.mark.slow
def test_what_python_makes_of_a_size_is_right_at_each(private_cache: Any) -> None:
    """Numbers that are returned, functions that go another way, and such as take few sizes."""

    @ad.compile(dynamic={"x": 0})
    def counted(x: Any) -> Any:
        return ad.sum(x), x.shape[0]

    @ad.compile(dynamic={"x": 0})
    def parity(x: Any) -> Any:
        return ad.sum(x) if x.shape[0] % 2 else -ad.sum(x)

    @ad.compile(dynamic={"x": 0})
    def pairs(x: Any) -> Any:
        return ad.sum(ad.reshape(x, (-1, 4)), axis=0)

    for n in (8, 8, 12, 5, 12, 8, 7, 24, 9, 8):
        x = array(n)
        total, length = counted(x)
        assert (total.item(), length) == (pytest.approx(x.sum()), n)
        assert parity(x).item() == pytest.approx(x.sum() if n % 2 else -x.sum())
        if n % 4 == 0:
            np.testing.assert_allclose(pairs(x).numpy(), x.reshape(-1, 4).sum(0))


@pytest.mark.slow
def test_one_trace_does_for_all_sizes_and_a_branch_on_a_value_for_its_path(private_cache: Any) -> None:
    @ad.compile(dynamic={"x": {0: "n"}})
    def f(x: Any) -> Any:
        return ad.sum(x) * 2.0 if ad.sum(x) > 0 else ad.mean(x)

    for n, sign in ((6, 1), (7, 1), (8, -1), (9, -1), (7, 1), (6, -1)):
        x = sign * np.abs(array(n))
        for _ in range(2):
            assert f(x).item() == pytest.approx(2 * x.sum() if sign > 0 else x.mean())
    assert f.traces == 2


@pytest.mark.slow
def test_the_source_shows_the_size_that_was_traced(private_cache: Any) -> None:
    compiled = ad.compile(lambda x: ad.sum(ad.sin(x)), dynamic={"x": 0})
    compiled(array(23))
    assert "23" in compiled.source and "arrayad_program" in compiled.source
    assert compiled.report() is not None
