"""Further places where Python keeps values that a function reads, and arguments that it hands back."""

from __future__ import annotations

import array
import collections
import contextvars
import copy
import enum
import functools
import operator
import pathlib
import pickle
import types
import warnings
import weakref
from fractions import Fraction

import numpy as np
import pytest

import arrayad as ad
from arrayad import nn, optim
from arrayad.errors import CompileError

pytestmark = pytest.mark.usefixtures("replayed")

X = ad.tensor(3.0)
LATE = 2.0


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Meta(type):
    @property
    def doubled(cls):
        return 2 * cls.factor


class Classy(metaclass=Meta):
    factor = 2.0


class Cached:
    base = 2.0

    @functools.cached_property
    def value(self):
        return self.base * 2


class Number(float):
    extra = 1.0


class Table(dict):
    extra = 1.0


def changed(f, change):
    """The values of a compiled function before and after a change, which are those of the function."""
    compiled = ad.compile(f)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        before = compiled(X).item()
        assert before == f(X).item() == compiled(X).item()
        change()
        assert compiled(X).item() == f(X).item() != before


@pytest.mark.parametrize(
    "few",
    [
        (lambda x, c: x * c.value, list(Colour)),
        (lambda x, c: x * (2 if c is Colour.RED else 3), list(Colour)),
        (lambda x, p: x * len(p.parts), [pathlib.PurePath("a"), pathlib.PurePath("a/b")]),
        (lambda x, q: x * float(q), [Fraction(1, 2), Fraction(1, 3)]),
        (lambda x, o: x * o.k, [types.SimpleNamespace(k=k) for k in (1.0, 2.0, 3.0, 4.0)]),
    ],
)
def test_arguments_of_any_kind_are_told_apart(few):
    f, values = few
    compiled = ad.compile(f)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for value in (*values, *values):
            assert compiled(X, value).item() == f(X, value).item()


def test_containers_of_the_standard_library():
    inner = {"a": 2.0}
    for holder in (collections.ChainMap({}, inner), types.MappingProxyType(inner)):
        changed(lambda x, holder=holder: x * holder["a"], lambda: inner.update(a=inner["a"] + 1))
    view = inner.values()
    changed(lambda x: x * sum(view), lambda: inner.update(b=1.0))
    wrapped = collections.UserDict(a=2.0)
    changed(lambda x: x * wrapped["a"], lambda: wrapped.update(a=3.0))
    for block in (bytearray(b"a"), array.array("d", [2.0]), memoryview(bytearray(b"a"))):
        changed(lambda x, block=block: x * block[0], lambda block=block: operator.setitem(block, 0, 7))


def test_references_and_caches():
    holder, other = Cached(), Cached()
    reference, variable = weakref.ref(holder), contextvars.ContextVar("variable", default=2.0)
    changed(lambda x: x * reference().base, lambda: setattr(holder, "base", 5.0))
    changed(lambda x: x * variable.get(), lambda: variable.set(3.0))
    numbers = [2.0]
    cached = functools.lru_cache(lambda n: n * numbers[0])
    changed(lambda x: x * cached(3), lambda: (numbers.__setitem__(0, 4.0), cached.cache_clear()))
    changed(lambda x: x * other.value, lambda: (setattr(other, "base", 5.0), delattr(other, "value")))


def test_accessors_patterns_and_globals_by_name():
    global LATE
    holder = types.SimpleNamespace(rate=2.0)
    getter = operator.attrgetter("rate")
    changed(lambda x: x * getter(holder), lambda: setattr(holder, "rate", 3.0))

    def matched(x):
        match holder:
            case types.SimpleNamespace(rate=3.0):
                return x
        return x * 2

    changed(matched, lambda: setattr(holder, "rate", 2.0))
    for f in (lambda x: x * globals()["LATE"], lambda x: x * eval("LATE")):
        LATE = 2.0
        changed(f, lambda: globals().update(LATE=5.0))


def test_classes_of_classes_and_of_objects():
    class One:
        def scaled(self, x):
            return x

    class Two:
        def scaled(self, x):
            return x * 2

    one = One()
    changed(lambda x: one.scaled(x), lambda: setattr(one, "__class__", Two))
    changed(lambda x: x * Classy.doubled, lambda: setattr(Classy, "factor", 7.0))
    number, table = Number(2.0), Table(a=2.0)
    changed(lambda x: x * float(number) * number.extra, lambda: setattr(number, "extra", 3.0))
    changed(lambda x: x * table["a"] * table.extra, lambda: setattr(table, "extra", 3.0))


def test_a_layer_that_is_added_takes_effect():
    model = nn.Sequential(nn.Tanh())
    changed(lambda x: model(x), lambda: model.append(nn.Tanh()))


def test_an_optimiser_that_is_given_fewer_parameters():
    w, b = (ad.tensor(2.0, requires_grad=True) for _ in range(2))
    optimizer = optim.Adam([w, b], lr=0.5)

    def step(x):
        optimizer.zero_grad()
        (w * b * x).backward()
        optimizer.step()

    compiled = ad.compile(step)
    compiled(X)
    optimizer.params = [w]
    kept = b.item()
    compiled(X)
    assert b.item() == kept and w.item() < 1.5


def test_masks_whose_count_is_a_shape_are_guards():
    f = ad.compile(lambda x: (x[x > 0], ad.nonzero(x)[0]))
    for values in ([1.0, -1.0, 2.0], [-1.0, 5.0, 0.0], [1.0, -1.0, 2.0]):
        positive, places = f(ad.tensor(values))
        assert positive.tolist() == [v for v in values if v > 0]
        assert places.tolist() == [i for i, v in enumerate(values) if v]


def test_an_array_that_the_function_writes_into_is_refused_and_put_back():
    data = np.zeros(2)

    def f(x):
        data[:] += 1
        return x * data

    with pytest.raises(CompileError, match="writes into data"):
        ad.compile(f)(X)
    assert data.tolist() == [0, 0]


def test_arguments_come_back_as_the_objects_that_they_are():
    f = ad.compile(lambda holder, x: (holder, x * 2))
    for holder in (types.SimpleNamespace(k=1.0), types.SimpleNamespace(k=1.0)):
        assert f(holder, X)[0] is holder
    g = ad.compile(lambda table: table.pop("a"))
    for i in range(3):
        part = [X * i, 1]
        table = {"a": part, "b": 2}
        assert g(table) is part and list(table) == ["b"]


@ad.compile
def at_the_top(x):
    return x * 2


def test_compiled_functions_are_copied_and_pickled():
    assert pickle.loads(pickle.dumps(at_the_top)) is at_the_top
    model = ad.compile(nn.Linear(2, 2, rng=ad.random.default_rng(0)))
    x = ad.ones((1, 2), dtype="float32")
    wanted = model(x).tolist()
    for other in (copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other(x).tolist() == wanted and other.traces == 1


# --- backward through what a compiled function has returned ---------------------------------------------------------


def gradients(f, *leaves):
    """The gradients by backward, of two calls."""
    found = []
    for _ in range(2):
        for leaf in leaves:
            leaf.grad = None
        f(X).backward()
        found.append([None if leaf.grad is None else leaf.grad.item() for leaf in leaves])
    return found


def test_what_was_computed_without_recording_is_constant():
    w = ad.tensor(2.0, requires_grad=True)

    def f(x):
        with ad.no_grad():
            square, (half, _) = w * w, ad.split(ad.stack([w / 2, w]), [1])
        return w * square * x + w * ad.sum(half)

    assert gradients(ad.compile(f), w) == [[4 * 3 + 1]] * 2


def test_a_leaf_that_was_assigned_remains_that_leaf():
    w = ad.tensor(8.0, requires_grad=True)

    def f(x):
        with ad.no_grad():
            w.__imul__(0.5)
        return w * w * x

    assert gradients(ad.compile(f), w) == [[24.0], [12.0]]


def test_a_leaf_that_was_assigned_as_a_whole_remains_that_leaf():
    w = ad.tensor(8.0, requires_grad=True)

    def f(x):
        with ad.no_grad():
            w[...] = x
        return w * w * x

    assert gradients(ad.compile(f), w) == [[18.0]] * 2


def test_a_leaf_without_a_derivative_gets_no_gradient():
    w, other = (ad.tensor(2.0, requires_grad=True) for _ in range(2))
    assert gradients(ad.compile(lambda x: w * x + ad.stop_gradient(other)), w, other) == [[3.0, None]] * 2


def test_functions_with_derivatives_of_their_own():
    @ad.custom_vjp
    def square(x):
        return x * x

    square.defvjp(lambda x: (x * x, x), lambda x, ct: (7 * ct * x,))
    f = ad.compile(ad.value_and_grad(lambda x: square(x) + 1))
    for x in (2.0, 3.0):
        value, derivative = f(ad.tensor(x))
        assert (value.item(), derivative.item()) == (x * x + 1, 7 * x)
