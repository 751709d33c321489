"""The demo, and the command line."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest

from arrayad import __main__ as program
from arrayad import demo
from arrayad.compiler import backend
from arrayad.random import default_rng

pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def digits():
    return demo.load_digits(default_rng(0))


@pytest.fixture(autouse=True)
def _one_blas_thread():
    with demo.one_blas_thread():
        yield


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


@pytest.mark.slow
def test_compiled_steps_train_as_eager_ones(digits):
    runs = [demo.train(digits, 2, default_rng(1), is_compiled=is_compiled) for is_compiled in (False, True)]
    assert runs[0].steps == runs[1].steps == 24
    # In float32, over 24 steps: what differs is the order of the sums in products and in means, 1e-7 each.
    np.testing.assert_allclose(runs[0].train_loss, runs[1].train_loss, rtol=1e-5)
    np.testing.assert_allclose(runs[0].test_loss, runs[1].test_loss, rtol=1e-5)
    for eager, compiled in zip(runs[0].model.parameters(), runs[1].model.parameters(), strict=True):
        np.testing.assert_allclose(eager.numpy(), compiled.numpy(), rtol=0, atol=1e-4)


@pytest.mark.slow
def test_a_compiled_step_is_traced_once_for_each_size_of_a_batch(digits):
    trainer = demo.Trainer(digits, default_rng(1), is_compiled=True)
    losses = [trainer.run_epoch() for _ in range(3)]
    assert [len(epoch) for epoch in losses] == [12, 12, 12] and losses[2][-1] < losses[0][0]
    assert trainer.step.traces == 2  # 1,438 images make 11 batches of 128, and one of 30


@pytest.mark.slow
def test_eager_and_compiled_steps_are_timed_on_the_same_data(digits):
    found = demo.compare_speeds(digits, lambda: default_rng(1), epochs=2)
    assert found.steps == 36 and found.difference < 1e-5
    assert found.eager_seconds > 0 and found.compiled_seconds > 0


@pytest.mark.slow
def test_other_data_are_not_taken_for_the_same(digits):
    seeds = iter((1, 2))
    assert demo.compare_speeds(digits, lambda: default_rng(next(seeds)), epochs=1).difference > 1e-3


@pytest.mark.slow
def test_the_demo_runs_compiled(tmp_path, capsys, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(demo, "TIMED_EPOCHS", 1)
    program.main(["demo", "--epochs", "2", "--no-check", "--out", str(tmp_path / "new")])
    printed = capsys.readouterr().out
    assert "17,226 parameters" in printed and "test accuracy" in printed
    assert f"24 {demo.manner(True)} steps of 128 images" in printed
    assert float(re.search(r"speed-up +(\S+)", printed)[1]) > 0 and "the losses of all 24 steps a" in printed
    assert (tmp_path / "new" / "digits.png").read_bytes().startswith(b"\x89PNG")


def test_the_demo_runs_eagerly(capsys, monkeypatch):
    monkeypatch.setattr(demo, "compile", None)  # nothing is compiled
    program.main(["demo", "--epochs", "1", "--no-check", "--no-plot", "--eager"])
    printed = capsys.readouterr().out
    assert "Training steps are run eagerly" in printed and "12 eager steps of 128 images" in printed
    assert "speed-up" not in printed
    program.main(["demo", "--epochs", "1", "--seeds", "2", "--eager"])
    assert re.search(r"^mean +\d+.\d\d%  \d of 2 reach", capsys.readouterr().out, re.MULTILINE)


def test_without_a_compiler_the_demo_says_so_and_replays(capsys, monkeypatch):
    monkeypatch.setenv("ARRAYAD_CC", "none")
    monkeypatch.setattr(backend, "TOLD", [])
    monkeypatch.setattr(demo, "TIMED_EPOCHS", 1)
    program.main(["demo", "--epochs", "1", "--no-check", "--no-plot"])
    printed = capsys.readouterr().out
    assert re.search("Training steps are replayed by these kernels, for there is no C compiler: .", printed)
    assert "12 replayed steps of 128 images" in printed and "steps are the same" in printed


def test_what_is_missing_is_named(monkeypatch):
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "sklearn.datasets", None)
        with pytest.raises(SystemExit, match=r'sklearn is needed: pip install "arrayad\[demo\]"'):
            program.main(["demo"])
    with pytest.raises(SystemExit, match="--epochs is 0"):
        program.main(["demo", "--epochs", "0"])


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_network_learns_the_digits(seed):
    data_rng, training_rng = default_rng(seed).split()
    assert demo.train(demo.load_digits(data_rng), 30, training_rng).test_accuracy[-1] >= 0.97


def test_info_says_what_computes(capsys):
    program.main(["info"])
    printed = capsys.readouterr().out
    for word in ("arrayad", "NumPy", "backend", "BLAS", "pool"):
        assert word in printed
