"""Smoke that draws a ∇: the solver obeys what it discretises, and the search finds the wind."""

from __future__ import annotations

import ast
import doctest
import importlib.util
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

import arrayad as ad
from arrayad.compiler.toolchain import toolchain

ROOT = Path(__file__).parents[2]


def loaded(path: Path):
    """A program of the folder as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


smoke = loaded(ROOT / "examples" / "smoke.py")


def inner(a, b):
    return sum(float(np.sum(np.asarray(x) * np.asarray(y))) for x, y in zip(a, b, strict=True))


def whirl(n, strength):
    """A flow that stays as it is: u = sin(πx) cos(πy) and its like, with the velocity in cells per step."""
    y, x = np.indices((n + 1, n + 1)) / n
    stream = strength * n / np.pi * np.sin(np.pi * x) * np.sin(np.pi * y)
    return np.diff(stream, axis=0)[:, 1:-1], -np.diff(stream, axis=1)[1:-1]


def blob(n):
    """A round cloud off the middle, smooth."""
    y, x = (np.indices((n, n)) + 0.5) / n
    return np.exp(-(((x - 0.4) ** 2 + (y - 0.35) ** 2) / 0.02))


# --- projection ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 7, 32])
def test_the_projection_takes_the_divergence_and_leaves_the_vorticity(n):
    before = smoke.random_wind(n, seed=0)
    after = smoke.project(*before)
    assert np.abs(smoke.divergence(*before)).max() > 0.5
    np.testing.assert_allclose(smoke.divergence(*after), 0, atol=1e-13)
    np.testing.assert_allclose(smoke.vorticity(*after), smoke.vorticity(*before), atol=1e-13)
    np.testing.assert_allclose(after[0], smoke.project(*after)[0], atol=1e-13)


def test_the_projection_is_orthogonal():
    a, b = smoke.random_wind(9, seed=0), smoke.random_wind(9, seed=1)
    assert inner(smoke.project(*a), b) == pytest.approx(inner(a, smoke.project(*b)), rel=1e-12)
    assert inner(smoke.project(*a), smoke.project(*a)) < inner(a, a)


def test_a_flow_without_divergence_passes_unchanged():
    flow = whirl(16, 0.5)
    for kept, came in zip(smoke.project(*flow), flow, strict=True):
        np.testing.assert_allclose(kept, came, atol=1e-14)


# --- advection -------------------------------------------------------------------------------------------------------------


def test_samples_are_those_of_bilinear_interpolation():
    rng = np.random.default_rng(0)
    field, places = rng.normal(size=(5, 8)), rng.uniform(-2, 9, (2, 40))
    expected = map_coordinates(field, places, order=1, mode="nearest")
    np.testing.assert_allclose(smoke.sample(ad.tensor(field), *places), expected, rtol=1e-12, atol=1e-14)


def test_samples_at_the_points_are_the_values():
    field = np.random.default_rng(0).normal(size=(4, 6))
    np.testing.assert_allclose(smoke.sample(ad.tensor(field), *np.indices((4, 6))), field, rtol=1e-14)


def test_everything_comes_from_where_the_flow_was():
    n = 6
    rows, columns = smoke.departure(ad.full((n, n + 1), 2.0), ad.full((n + 1, n), -1.0))
    np.testing.assert_allclose(rows, np.indices((n, n))[0] + 1)
    np.testing.assert_allclose(columns, np.indices((n, n))[1] - 2)


def test_departures_follow_curved_paths_to_second_order():
    """Fluid that turns by the angle a about (0, 0) came from where it was turned by -a; the midpoint rule errs by a³/6."""
    n, errors = 8, []
    for angle in (0.1, 0.05):
        down = angle * (np.indices((n + 1, n))[1])  # v = a x and u = -a y, at the faces, in cells from (0, 0)
        across = -angle * (np.indices((n, n + 1))[0])
        rows, columns = (x.numpy()[2:5, 2:5] for x in smoke.departure(ad.tensor(across), ad.tensor(down)))
        y, x = np.indices((n, n))[:, 2:5, 2:5]
        exact = y * np.cos(angle) - x * np.sin(angle), x * np.cos(angle) + y * np.sin(angle)
        errors.append(max(np.abs(rows - exact[0]).max(), np.abs(columns - exact[1]).max()))
    assert errors[0] < 1.2 * 5 * 0.1**3 / 6 * np.sqrt(2) and 7 < errors[0] / errors[1] < 9


# --- a flow ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whirls():
    """On finer and finer grids: a steady flow, and what becomes of it and a cloud while fluid goes a quarter of the room."""
    return [(whirl(n, 0.5), smoke.simulate(whirl(n, 0.5), blob(n), n // 2)) for n in (12, 24, 48)]


def halves(errors):
    """Whether each is about half of the one before: the scheme is of first order."""
    return all(0.45 < fine / coarse < 0.55 for coarse, fine in pairwise(errors))


def test_a_steady_flow_stays_to_first_order(whirls):
    errors = []
    for flow, later in whirls:
        change = [np.asarray(x) - before for x, before in zip(later[:2], flow, strict=True)]
        errors.append(np.sqrt(inner(change, change) / inner(flow, flow)))
    assert halves(errors) and errors[-1] < 0.025


def test_divergence_stays_zero(whirls):
    for _, later in whirls:
        np.testing.assert_allclose(smoke.divergence(later.u, later.v), 0, atol=1e-14)


def test_no_smoke_comes_from_nowhere(whirls):
    """Interpolation makes means, so extremes are kept; what its weights give away adds up to a loss of first order."""
    for flow, later in whirls:
        n = len(flow[0])
        assert 0 <= later.smoke.numpy().min() and later.smoke.numpy().max() <= blob(n).max()
        np.testing.assert_allclose(smoke.simulate(flow, np.full((n, n), 0.3), 3).smoke, 0.3, rtol=1e-15)
    lost = [1 - later.smoke.numpy().sum() / blob(len(flow[0])).sum() for flow, later in whirls]
    assert halves(lost) and lost[-1] < 0.012


def test_a_film_begins_with_the_wind_and_ends_with_the_result():
    wind, cloud = smoke.random_wind(8, seed=0), blob(8)
    film = smoke.film(wind, cloud, 5)
    assert film.smoke.shape == (6, 8, 8)
    np.testing.assert_array_equal(film.smoke[0], cloud)
    np.testing.assert_allclose(film.u[0], smoke.project(*wind)[0], atol=1e-15)
    for last, result in zip((x[-1] for x in film), smoke.simulate(wind, cloud, 5), strict=True):
        np.testing.assert_allclose(last, result, rtol=1e-13, atol=1e-15)


# --- the gradient ------------------------------------------------------------------------------------------------------------


def objective(n, steps):
    target = smoke.nabla(n)
    return lambda wind: smoke.loss(wind, smoke.layer(n, target.sum()), target, steps)


def test_the_gradient_agrees_with_differences():
    found = smoke.examine(objective(10, 4), 10, compiled=False)
    # A step of 1e-7 leaves 2e-16 · 1.7 / 1e-7 = 3e-9 of rounding in a derivative of about 0.1.
    assert abs(found.slope) > 0.01 and found.digits >= 6
    assert found.seconds_with_gradient > found.seconds > 0


def test_the_gradient_is_the_transpose_of_the_forward_mode():
    f, wind, direction = objective(12, 6), smoke.random_wind(12, seed=0), smoke.random_wind(12, seed=1)
    assert inner(ad.grad(f)(wind), direction) == pytest.approx(ad.jvp(f, (wind,), (direction,))[1].item(), rel=1e-11)


def test_the_loss_is_the_squared_distance_and_the_roughness_of_the_wind():
    n, still = 16, tuple(np.zeros_like(x) for x in smoke.random_wind(16, seed=0))
    cloud, target = blob(n), smoke.nabla(n)
    expected = np.sum((cloud - target) ** 2) / np.sum(target**2)
    assert smoke.loss(still, cloud, target, 3).item() == pytest.approx(expected, rel=1e-14)
    wind = whirl(n, 1.0)
    moved = np.sum((smoke.simulate(wind, cloud, 3).smoke.numpy() - target) ** 2) / np.sum(target**2)
    spin = np.diff(wind[1], axis=1) - np.diff(wind[0], axis=0)
    assert smoke.loss(wind, cloud, target, 3).item() == pytest.approx(moved + smoke.SMOOTHING * np.mean(spin**2), rel=1e-12)


def test_a_wind_that_is_known_is_a_minimum():
    wind, cloud = whirl(12, 0.5), blob(12)
    reached = smoke.simulate(wind, cloud, 6).smoke.numpy()
    gradient = ad.grad(lambda wind: ad.sum((smoke.simulate(wind, cloud, 6).smoke - reached) ** 2))(wind)
    assert all(np.abs(g).max() < 1e-14 for g in gradient)


# --- the search --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [24, 80])
def test_smoke_and_picture_are_of_one_size(n):
    target = smoke.nabla(n)
    assert smoke.layer(n, target.sum()).sum() == pytest.approx(target.sum(), rel=0.02)
    np.testing.assert_allclose(target, target[:, ::-1], atol=1e-12)
    assert 0.15 < target.mean() < 0.25 and target[n // 2, n // 2] < 0.1 and target.min() == 0 and target.max() == 1


@pytest.fixture(scope="module")
def found():
    return smoke.search(smoke.SMALL, report=lambda line: None)


@pytest.mark.slow
def test_the_smoke_takes_the_form_of_the_picture(found):
    assert found.losses[0] > 8 * found.losses[-1]
    last = found.film.smoke[-1].numpy()
    before, after = (np.corrcoef(x.ravel(), found.target.ravel())[0, 1] for x in (found.film.smoke[0].numpy(), last))
    assert before < 0.2 and after > 0.9
    assert last[found.target > 0.9].mean() > 0.65 and last[found.target < 0.1].mean() < 0.05
    assert last.sum() == pytest.approx(found.film.smoke[0].numpy().sum(), rel=0.1)
    for u, v in zip(found.film.u, found.film.v, strict=True):
        np.testing.assert_allclose(smoke.divergence(u, v), 0, atol=1e-13)


@pytest.mark.slow
def test_pictures_are_written(found, tmp_path):
    pytest.importorskip("matplotlib")
    image = pytest.importorskip("PIL.Image")
    smoke.draw(found, str(tmp_path / "smoke.png"))
    smoke.animate(found, str(tmp_path / "smoke.gif"))
    with image.open(tmp_path / "smoke.png") as strip, image.open(tmp_path / "smoke.gif") as animation:
        assert strip.format == "PNG" and strip.width > 1000
        assert (animation.format, animation.n_frames, animation.size) == ("GIF", smoke.SMALL.steps // 2 + 1, (160, 160))
        animation.seek(animation.n_frames - 1)
        shown = np.asarray(animation.convert("L").resize(found.target.shape), np.float64)
        assert np.corrcoef(shown.ravel(), found.film.smoke[-1].numpy().ravel())[0, 1] > 0.95


@pytest.mark.slow
@pytest.mark.skipif(toolchain() is None, reason="there is no C compiler")
def test_compiled_or_not_the_search_is_the_same(capsys):
    runs = [smoke.search(smoke.Size(10, 4, 5, compiled)) for compiled in (False, True)]
    np.testing.assert_allclose(runs[1].losses, runs[0].losses, rtol=1e-9)
    assert capsys.readouterr().out.count("digits agree") == 2


@pytest.mark.slow
def test_the_program_says_what_it_found(capsys, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(smoke, "SMALL", smoke.Size(cells=10, steps=4, iterations=20, compiled=False))
    smoke.main(["--small", "--picture", str(tmp_path / "a.png"), "--animation", str(tmp_path / "a.gif")])
    printed = capsys.readouterr().out
    for words in (
        "10 × 10 cells, 4 steps, 180 unknowns",
        "digits agree",
        "times as long",
        "iteration    20",
        "a factor of",
        "divergence",
    ):
        assert words in printed
    assert (tmp_path / "a.png").exists() and (tmp_path / "a.gif").exists()


# --- the page ----------------------------------------------------------------------------------------------------------------


def functions(source):
    """The functions of a source by name, without their docstrings."""
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            node.body = node.body[isinstance(node.body[0], ast.Expr) :]
            node.returns = None
            for argument in node.args.args:
                argument.annotation = None
            found[node.name] = ast.dump(node)
    return found


def test_the_page_shows_the_program():
    page = (ROOT / "docs" / "smoke.md").read_text(encoding="utf-8")
    shown = {}
    for example in doctest.DocTestParser().get_examples(page):
        shown.update(functions(example.source))
    program = functions((ROOT / "examples" / "smoke.py").read_text(encoding="utf-8"))
    assert {"project", "sample", "departure", "step", "simulate"} <= shown.keys()
    for name in shown.keys() & program.keys():
        assert shown[name] == program[name], f"docs/smoke.md shows another {name} than examples/smoke.py"
