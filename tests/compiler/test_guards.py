"""Python values that a function has read, and branches on values: a change takes effect or raises, and never goes unnoticed."""

from __future__ import annotations

import functools
import math
import random
import sys
import types
import warnings
from dataclasses import dataclass

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import CompileError

pytestmark = pytest.mark.usefixtures("replayed")

X = ad.tensor(3.0)
SCALE = 2.0
CONFIG = {"lr": 0.5, "layers": [1, 2], "name": "a", "sizes": {1, 2}}


def helper(x):
    return x + SCALE


def by_default(x, factor=2.0, *, shift=1.0):
    return x * factor + shift


class Scaler:
    power = 2
    offset = 0.0

    def __init__(self):
        self.scale = 2.0
        self.training = True
        self.inner = types.SimpleNamespace(bias=1.0)

    def __call__(self, x):
        return self.shifted(x) * self.scale**self.power if self.training else x

    def shifted(self, x):
        return x + self.inner.bias + self.offset

    @property
    def double(self):
        return self.scale * 2


class Slotted:
    __slots__ = ("value",)

    def __init__(self):
        self.value = 2.0


@dataclass
class Options:
    rate: float = 0.5


def take_effect(compiled, plain, changes, x=X):
    """Each change takes effect in the compiled function."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found = [compiled(x)]
        assert same(found[0], plain(x)) and same(compiled(x), plain(x))
        for change in changes:
            change()
            assert same(compiled(x), plain(x)), change
            found.append(compiled(x))
    assert any(not same(y, found[0]) for y in found[1:]), "the changes change nothing"


def same(x, y):
    return np.array_equal(np.asarray(x), np.asarray(y), equal_nan=True)


def test_globals(monkeypatch):
    f = lambda x: helper(x) * SCALE  # noqa: E731
    take_effect(
        ad.compile(f),
        f,
        [
            lambda: monkeypatch.setitem(globals(), "SCALE", 3.0),
            lambda: monkeypatch.setitem(globals(), "SCALE", 3),
            lambda: monkeypatch.setitem(globals(), "helper", lambda x: x - 1),
            lambda: monkeypatch.setitem(globals(), "SCALE", np.float32(0.1)),
            lambda: monkeypatch.setitem(globals(), "SCALE", math.nan),
        ],
    )


def test_a_global_that_comes_to_hide_a_builtin(monkeypatch):
    f = lambda x: abs(x)  # noqa: E731
    take_effect(ad.compile(f), f, [lambda: monkeypatch.setitem(globals(), "abs", lambda x: x * 10)])


def test_the_code_and_the_defaults_of_functions(monkeypatch):
    f = lambda x: by_default(x)  # noqa: E731
    take_effect(
        ad.compile(f),
        f,
        [
            lambda: monkeypatch.setattr(by_default, "__defaults__", (5.0,)),
            lambda: monkeypatch.setattr(by_default, "__kwdefaults__", {"shift": 7.0}),
            lambda: monkeypatch.setattr(by_default, "__code__", (lambda x, factor=1, *, shift=2: x - factor).__code__),
        ],
    )


def test_closures():
    a, inner = 1.0, [2.0]

    def change():
        nonlocal a
        a = 10.0

    f = lambda x: x * a + inner[0]  # noqa: E731
    take_effect(ad.compile(f), f, [change, lambda: inner.__setitem__(0, 5.0), lambda: inner.append(3.0)])


def test_containers(monkeypatch):
    monkeypatch.setitem(globals(), "CONFIG", {"lr": 0.5, "layers": [1, 2], "name": "a", "sizes": {1, 2}})

    def f(x):
        for size in CONFIG["layers"]:
            x = x * size + len(CONFIG["sizes"])
        return x * CONFIG["lr"] if CONFIG["name"] == "a" else x * sum(1 for key in CONFIG)

    take_effect(
        ad.compile(f),
        f,
        [
            lambda: CONFIG.__setitem__("lr", 0.25),
            lambda: CONFIG["layers"].append(3),
            lambda: CONFIG.__setitem__("layers", [5]),
            lambda: CONFIG["layers"].__setitem__(0, 6),
            lambda: CONFIG["sizes"].add(9),
            lambda: CONFIG.__setitem__("name", "b"),
            lambda: CONFIG.__setitem__("more", 1),
            lambda: CONFIG.pop("more"),
        ],
    )


def test_attributes_of_objects(monkeypatch):
    model = Scaler()
    take_effect(
        ad.compile(model),
        model,
        [
            lambda: setattr(model, "scale", 3.0),
            lambda: monkeypatch.setattr(Scaler, "power", 3),
            lambda: setattr(model, "power", 1),
            lambda: setattr(model.inner, "bias", 5.0),
            lambda: setattr(model, "inner", types.SimpleNamespace(bias=6.0)),
            lambda: setattr(model, "offset", 1.0),
            lambda: monkeypatch.setattr(Scaler, "shifted", lambda self, x: x * 100),
            lambda: setattr(model, "shifted", lambda x: x * 1000),
            lambda: setattr(model, "training", False),
        ],
    )


def test_properties_slots_and_dataclasses():
    scaler, slotted, options = Scaler(), Slotted(), Options()
    f = lambda x: x * scaler.double + slotted.value * options.rate  # noqa: E731
    take_effect(
        ad.compile(f),
        f,
        [lambda: setattr(scaler, "scale", 5.0), lambda: setattr(slotted, "value", 7.0), lambda: setattr(options, "rate", 9.0)],
    )


def test_objects_as_arguments_are_known_by_what_they_hold():
    compiled = ad.compile(lambda x, options: x * options.rate)
    assert [compiled(X, Options(rate)).item() for rate in (1.0, 1.0, 2.0)] == [3, 3, 6]
    assert compiled.traces == 2


def test_partials_and_methods():
    config = {"a": 2.0}
    scaler = Scaler()
    partial = functools.partial(lambda a, x: x * a["a"], config)
    take_effect(ad.compile(partial), partial, [lambda: config.update(a=3.0)])
    take_effect(ad.compile(scaler.shifted), scaler.shifted, [lambda: setattr(scaler.inner, "bias", 4.0)])


def test_training_and_the_rate_of_dropout():
    layer = ad.nn.Dropout(0.5, rng=ad.random.default_rng(0))
    compiled = ad.compile(layer)
    x = ad.ones(1000)
    assert 300 < np.count_nonzero(compiled(x).numpy()) < 700
    layer.p = 0.9
    assert np.count_nonzero(compiled(x).numpy()) < 200
    layer.eval()
    assert np.count_nonzero(compiled(x).numpy()) == 1000


def test_attributes_that_are_read_without_being_named():
    options = Options()
    f = lambda x: x * getattr(options, "ra" + "te") + sum(vars(options).values())  # noqa: E731
    take_effect(ad.compile(f), f, [lambda: setattr(options, "rate", 2.0)])


def test_a_value_that_the_function_itself_changes_is_read_anew():
    class Counter:
        count = 0

        def step(self, x):
            self.count += 1
            return x * self.count

    counter, eager = Counter(), Counter()
    step = ad.compile(counter.step)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(5):
            assert step(X).item() == eager.step(X).item() and counter.count == eager.count
    assert "count was 2 and is 3" in str(caught[0].message)


@pytest.mark.parametrize(
    "stream, word",
    [(np.random.default_rng(0), "Generator"), (random.Random(0), "Random"), (iter([1, 2]), "list_iterator")],
)
def test_streams_that_would_be_read_at_tracing_only_are_refused(stream, word):
    with pytest.raises(CompileError, match=f"stream is a .*{word}"):
        ad.compile(lambda x: x * stream.__sizeof__())(X)


def test_a_generator_without_a_seed_inside_is_refused():
    with pytest.raises(CompileError, match="give it a seed"):
        ad.compile(lambda x: ad.random.default_rng().normal())(X)
    seeded = ad.compile(lambda x: ad.random.default_rng(3).normal() + x)
    assert seeded(X).item() == seeded(X).item() == (ad.random.default_rng(3).normal() + X).item()


def test_modes_of_recording_are_programs_of_their_own():
    w = ad.tensor(2.0, requires_grad=True)
    f = ad.compile(lambda x: w * x)
    assert f(X).requires_grad
    with ad.no_grad():
        assert not f(X).requires_grad
    f(X).backward()
    assert w.grad.item() == 3
    w.requires_grad = False
    assert not f(X).requires_grad
    with ad.detect_anomaly(), pytest.raises(ad.errors.AnomalyError if hasattr(ad, "errors") else Exception, match="log"):
        ad.compile(lambda x: ad.log(x - 4))(X)


# --- branches on values ------------------------------------------------------------------------------------------------


def test_branches_are_traced_once_each():
    def f(x):
        if x > 10:
            return x * 2
        if x < 0:
            return -x
        return x + 1

    compiled = ad.compile(f)
    for value in (1.0, 20.0, -3.0, 2.0, 30.0, -4.0, 10.0, 0.0):
        assert compiled(ad.tensor(value)).item() == f(value)
    assert compiled.traces == 3


def test_a_broken_guard_changes_nothing():
    state = ad.tensor(0.0)

    def f(x):
        nonlocal state
        state += x
        if state > 5:
            state[...] = 0.0
        return state * 1

    compiled = ad.compile(f)
    found = [compiled(ad.tensor(2.0)).item() for _ in range(7)]
    assert found == [2, 4, 0, 2, 4, 0, 2] and compiled.traces == 2


def test_an_index_that_is_a_tensor_is_a_guard():
    table = [10.0, 20.0, 30.0]
    compiled = ad.compile(lambda i, x: x * table[i])
    assert [compiled(ad.tensor(i), X).item() for i in (0, 1, 2, 1, 0)] == [30, 60, 90, 60, 30]
    assert compiled.traces == 3


def test_loops_on_values():
    def f(x):
        while x < 100:
            x = x * 2
        return x

    compiled = ad.compile(f)
    assert [compiled(ad.tensor(v)).item() for v in (60.0, 30.0, 70.0, 40.0)] == [120, 120, 140, 160]
    assert compiled.traces == 2


def test_too_many_branches_say_what_to_write_and_run_uncompiled():
    def f(x):
        n = 0
        while n < x:
            n += 1
        return x * n

    compiled = ad.compile(f)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for i in range(40):
            assert compiled(ad.tensor(float(i))).item() == i * i
    assert "runs uncompiled from here on" in str(caught[-1].message) and "while" in str(caught[-1].message)
    assert compiled.traces == 16 and "test_guards.py" in caught[-1].filename


@pytest.mark.parametrize(
    "ask, word",
    [
        (float, "float()"),
        (int, "int()"),
        (lambda x: x.item(), "item()"),
        (lambda x: x.numpy(), "numpy()"),
        (np.asarray, "np.asarray"),
        (lambda x: x.tolist(), "tolist()"),
        (lambda x: f"{x:.2f}", "item()"),
        (lambda x: 3.0 in x.reshape(1), "in"),
        (lambda x: ad.tensor(x), None),
    ],
)
def test_numbers_that_would_become_constants_are_refused_at_the_users_line(ask, word):
    w = ad.tensor(2.0)
    for f in (lambda x: x * ask(x), lambda x: x * ask(w), lambda x: x * ask(x * 2), lambda x: x * ask(ad.grad(ad.sin)(x))):
        compiled = ad.compile(f)
        if word is None:
            assert compiled(X).item() == f(X).item() and compiled(ad.tensor(5.0)).item() == f(ad.tensor(5.0)).item()
            continue
        with pytest.raises(CompileError) as caught:
            compiled(X)
        assert word in str(caught.value) and "test_guards.py" in str(caught.value) and "return the Tensor" in str(caught.value)
    assert float(X) == 3.0


def test_constants_may_be_read_and_values_may_be_shown(capsys):
    def f(x):
        print(x)
        return x * float(ad.sum(ad.arange(3)))

    compiled = ad.compile(f)
    assert compiled(X).item() == compiled(X).item() == 9
    assert capsys.readouterr().out.count("Tensor(3.") == 1


def test_the_fourth_trace_says_what_has_changed():
    compiled = ad.compile(lambda x, a=1: x * a)
    for n in (1, 2, 3):
        compiled(ad.ones(n))
    with pytest.warns(RuntimeWarning, match=r"traced 4 times; this time because argument x was float64\[3\] and is float64\[4\]"):
        compiled(ad.ones(4))
    with pytest.warns(RuntimeWarning, match=r"argument x was float64\[4\] and is float32\[4\]"):
        compiled(ad.ones(4, dtype="float32"))
    with pytest.warns(RuntimeWarning, match="the number of arguments was 1 and is 2"):
        compiled(ad.ones(4, dtype="float32"), 2)


def test_long_lists_are_compared_as_a_whole():
    table = [float(i) for i in range(1000)]
    f = lambda x: x * sum(table)  # noqa: E731
    take_effect(ad.compile(f), f, [lambda: table.__setitem__(500, 7.0), lambda: table.__setitem__(500, 7), table.pop])
    compiled = ad.compile(f)
    compiled(X)
    assert len(compiled.specialisations[False][0].writer.checks) < 20


def test_modules_of_the_users_also_where_they_are_imported_inside(monkeypatch):
    settings = types.ModuleType("settings_of_a_test")
    settings.rate, settings.other = 2.0, types.SimpleNamespace(shift=1.0)
    monkeypatch.setitem(sys.modules, "settings_of_a_test", settings)

    def f(x):
        import settings_of_a_test
        from settings_of_a_test import rate

        return x * rate + settings_of_a_test.other.shift

    take_effect(ad.compile(f), f, [lambda: setattr(settings, "rate", 3.0), lambda: setattr(settings.other, "shift", 5.0)])
    g = lambda x: x * settings.rate  # noqa: E731
    take_effect(ad.compile(g), g, [lambda: setattr(settings, "rate", 4.0)])


@pytest.mark.parametrize("draw, word", [(np.random.normal, "np.random"), (random.random, "random")])
def test_draws_from_global_generators_are_refused_and_taken_back(draw, word):
    random.seed(0), np.random.seed(0)
    wanted = draw()
    random.seed(0), np.random.seed(0)
    with pytest.raises(CompileError, match=f"draws from {word}, which"):
        ad.compile(lambda x: x * draw())(X)
    assert draw() == wanted
