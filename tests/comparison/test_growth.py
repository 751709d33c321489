"""The growth of a gradient's cost with the number of inputs: what is counted, what is timed, what is told of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad.comparison import growth as module
from arrayad.comparison.growth import WAYS, Growth, growth


def family(n: int) -> Any:
    return (lambda x: ad.sum(ad.sin(x) * x)), np.linspace(0.5, 1.5, n)


def made(costs: dict[str, list[float]], sizes: list[int]) -> Growth:
    return Growth("made up", sizes, costs, {way: [None] * len(sizes) for way in costs}, costs)


def test_weighted_operations_of_each_way() -> None:
    """n (15 + 1) and n - 1 sums; back n cosines, 3 n products and n sums, which is n - 1 sums less than forward mode takes."""
    found = growth(family, (1, 10), seconds=0.0)
    for i, n in enumerate((1, 10)):
        value = 17.0 * n - 1
        assert found.flops["function"][i] == value
        assert found.flops["reverse mode"][i] == value + 19 * n
        assert found.flops["central differences"][i] == found.flops["central differences, batched"][i] == 2 * n * value
        assert found.flops["forward differences"][i] == (n + 1) * value
        assert found.flops["forward mode"][i] == n * (value + 15 * n + 4 * n + n - 1)


def test_each_way_evaluates_as_often_as_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """`runs(n, n)` is how often a way calls what it compiled."""
    monkeypatch.setattr(module, "BLOCK", 30)
    for way in WAYS:
        calls: list[Any] = []

        def counting(f: Any, calls: list[Any] = calls) -> Any:
            return lambda *args: calls.append(args) or f(*args)

        f, x = family(10)
        way.prepare(f, x, counting)(range(10))
        factor = 2 if way.name == "central differences, batched" else 1
        assert len(calls) == factor * way.runs(10, 10), way.name


def test_differences_and_directions_are_those_of_the_gradient() -> None:
    """What the ways compute, put together, is the gradient."""
    f, x = family(7)
    wanted = np.asarray(ad.grad(f)(x))
    found: list[Any] = []

    def keeping(g: Any) -> Any:
        return lambda *args: found.append(g(*args))

    by_name = {way.name: way for way in WAYS}

    def ran(name: str) -> list[Any]:
        found.clear()
        by_name[name].prepare(f, x, keeping)(range(7))
        return found

    np.testing.assert_allclose([float(t) for _, t in ran("forward mode")], wanted, rtol=1e-12)
    np.testing.assert_allclose(np.concatenate([np.asarray(t) for t in ran("forward mode, batched")]), wanted, rtol=1e-12)
    pairs = np.reshape([float(y) for y in ran("central differences")], (7, 2))
    np.testing.assert_allclose((pairs[:, 0] - pairs[:, 1]) / (2 * module.STEP), wanted, rtol=1e-8)
    above, below = (np.asarray(y) for y in ran("central differences, batched"))
    np.testing.assert_allclose((above - below) / (2 * module.STEP), wanted, rtol=1e-8)
    base, *others = (float(y) for y in ran("forward differences"))
    np.testing.assert_allclose((np.array(others) - base) / module.STEP, wanted, rtol=1e-4)


def test_what_takes_too_long_is_sampled_scaled_and_marked() -> None:
    found = growth(family, (3, 1000), ways=["central differences"], limit=0.01, seconds=0.0)
    assert found.sampled["central differences"][0] is None and found.sampled["reverse mode"] == [None, None]
    count = found.sampled["central differences"][1]
    assert count is not None and 1 <= count < 1000
    assert found.seconds["central differences"][1] > 0.01
    text = str(found)
    assert "s*" in text and "sample of the directions" in text
    assert "sample" not in str(growth(family, (3,), ways=["central differences"], seconds=0.0))


def test_crossover() -> None:
    costs = {
        "function": [1.0] * 3,
        "reverse mode": [4.0, 4.0, 4.0],
        "a": [1.0, 16.0, 100.0],
        "b": [5.0, 50.0, 500.0],
        "c": [1.0] * 3,
    }
    found = made(costs, [1, 10, 100])
    assert found.crossover("a") == 4  # half way between 1 and 10 on a logarithmic scale: √10, rounded up
    assert found.crossover("b") == 1 and found.crossover("c") is None
    assert found.crossings() == [
        "reverse mode is faster than a from n = 4 on",
        "reverse mode is faster than b from n = 1 on",
        "reverse mode is faster than c at no size",
    ]
    again = made({"function": [1.0] * 3, "reverse mode": [4.0] * 3, "a": [5.0, 2.0, 8.0]}, [1, 10, 100])
    assert again.crossover("a") == 32  # from the last time on that it is slower


def test_counted_crossovers() -> None:
    """Reverse mode takes some 2 values: it wins from two inputs on."""
    found = growth(family, (1, 10), seconds=0.0)
    assert found.crossover("central differences", flops=True) == 2
    assert found.crossover("forward mode", flops=True) == 2  # of one input the two modes take the same


def test_compiled_programs_are_timed() -> None:
    seen = []

    def compiler(f: Any) -> Any:
        seen.append(f)
        return f

    growth(family, (2,), compiled=compiler, seconds=0.0)
    assert len(seen) == len(WAYS)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[growth\] there is no way \['sideways'\]; the ways are \['function'"):
        growth(family, (1,), ways=["sideways"])
    with pytest.raises(ValueError, match=r"\[growth\] the point for n = 2 has 3 elements"):
        growth(lambda n: (ad.sum, np.ones(n + 1)), (2,))


def test_record_and_figure(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the plot extra is not installed")
    found = growth(family, (1, 10, 100), ways=["central differences"], limit=1e-4, seconds=0.0, name="sines")
    record = json.loads(json.dumps(found.record()))
    assert record["sizes"] == [1, 10, 100] and set(record["crossover"]) == {"central differences"}
    axes = found.plot(path=tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 1000
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert {line.get_label() for line in axes.get_lines()} >= {"function", "reverse mode", "central differences"}
    assert found.plot(axes=axes) is axes
