"""The demo, and the command line."""

from __future__ import annotations

import numpy as np
import pytest

from arrayad import __main__ as program
from arrayad import demo
from arrayad.random import default_rng

pytest.importorskip("sklearn")


def test_the_gradient_of_the_network_agrees_with_differences():
    model = demo.make_model(default_rng(0))
    images, labels = default_rng(1).random((4, 64)).numpy(), np.arange(4)
    found = demo.compare(model, images, labels, limit=20)
    assert found.parameters == 110 and found.across_kink < 5
    # Central differences of a step h = 6e-6 err by h² and by 2e-16 / h, and the gradient's largest element is about 0.1.
    assert found.error < 1e-8


def test_a_kink_within_the_step_is_seen():
    model = demo.make_model(default_rng(0))
    values = [np.asarray(p.detach(), np.float64) for p in model.parameters()]
    x, t = demo.tensor(np.ones((1, 64))), demo.tensor([0])
    values[1][0] = -values[0][0].sum()  # the first unit stands at its kink
    parameters = [demo.tensor(value) for value in values]
    active = demo.signs(demo.loss_of(parameters, x, t)[1])
    assert demo.central_difference(values, parameters, 1, 0, x, t, active)[1]
    assert not demo.central_difference(values, parameters, 5, 0, x, t, active)[1]


def test_the_demo_runs(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    program.main(["demo", "--epochs", "2", "--no-check", "--out", str(tmp_path / "new")])
    printed = capsys.readouterr().out
    assert "17,226 parameters" in printed and "test accuracy" in printed
    assert (tmp_path / "new" / "digits.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_missing_is_named(monkeypatch):
    with pytest.raises(SystemExit, match=r"tqdm2 is needed .* pip install 'arrayad\[demo\]'"):
        demo.optional("tqdm2", "tqdm2")
    with pytest.raises(SystemExit, match="--epochs is 0"):
        program.main(["demo", "--epochs", "0"])


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_network_learns_the_digits(seed):
    data_rng, training_rng = default_rng(seed).split()
    with demo.one_blas_thread():
        assert demo.train(demo.load_digits(data_rng), 30, training_rng).test_accuracy[-1] >= 0.97


def test_info_says_what_computes(capsys):
    program.main(["info"])
    printed = capsys.readouterr().out
    for word in ("arrayad", "NumPy", "backend", "BLAS", "pool"):
        assert word in printed
