"""Modules: what they find in themselves, their state, their modes, how they look, and as trees."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest

import arrayad as ad
from arrayad import nn, tree


class Network(nn.Module):
    def __init__(self, seed=0):
        super().__init__()
        rng = ad.random.default_rng(seed)
        self.first = nn.Linear(3, 4, rng=rng)
        self.layers = nn.ModuleList([nn.Linear(4, 4, bias=False, rng=rng), nn.Linear(4, 4, rng=rng)])
        self.scale = nn.Parameter(np.float32(2.0))
        self.register_buffer("shift", np.float32(1.0))
        self.dropout = nn.Dropout(0.5, rng=rng)

    def forward(self, x):
        x = self.first(x)
        for layer in self.layers:
            x = layer(ad.tanh(x))
        return self.dropout(x * self.scale + self.shift)


NAMES = ["scale", "first.weight", "first.bias", "layers.0.weight", "layers.1.weight", "layers.1.bias"]
X = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)


def test_parameters_are_found_in_order():
    model = Network()
    assert [name for name, _ in model.named_parameters()] == NAMES
    assert [name for name, _ in model.named_buffers()] == ["shift"]
    assert [name for name, _ in model.named_modules()] == ["", "first", "layers", "layers.0", "layers.1", "dropout"]
    model(X).sum().backward()
    assert all(p.grad is not None and p.grad.dtype == np.float32 for p in model.parameters())
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())


def test_a_shared_parameter_comes_once():
    model = Network()
    model.layers[1].weight = model.layers[0].weight
    assert len(list(model.parameters())) == 5 and len(model.state_dict()) == 7


def test_attributes_that_hide_parameters_are_refused():
    model = Network()
    with pytest.raises(TypeError, match="use ModuleList"):
        model.more = [nn.ReLU()]
    with pytest.raises(TypeError, match="a module is needed"):
        nn.Sequential(ad.tanh)

    class Forgetful(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter(1.0)

    with pytest.raises(TypeError, match="super"):
        Forgetful()


def test_state_is_a_snapshot_and_loads_back():
    model, other = Network(0), Network(1)
    state = model.state_dict()
    with ad.no_grad():
        model.scale += 1.0
    assert state["scale"].item() == 2 and model.scale.item() == 3
    other.load_state_dict({name: np.asarray(value) for name, value in state.items()})
    np.testing.assert_array_equal(other.first.weight.numpy(), state["first.weight"])
    assert other.scale.requires_grad and other.scale.dtype == np.float32


def test_a_state_that_does_not_fit_changes_nothing():
    model = Network()
    state = model.state_dict()
    with pytest.raises(KeyError, match="missing: scale; unknown: size"):
        model.load_state_dict({**{k: v for k, v in state.items() if k != "scale"}, "size": 1.0})
    model.load_state_dict({"scale": 5.0}, strict=False)
    assert model.scale.item() == 5
    with pytest.raises(ad.errors.ShapeError, match=r"first\.bias is f32"):
        model.load_state_dict({**state, "first.bias": np.zeros(3)})
    assert model.scale.item() == 5


def test_train_and_eval_reach_dropout():
    model = Network()
    assert not np.array_equal(model(X).numpy(), model(X).numpy())
    model.eval()
    assert np.array_equal(model(X).numpy(), model(X).numpy()) and not model.dropout.training
    assert model.train() is model and model.dropout.training


def test_freezing_and_conversion():
    model = Network().requires_grad_(False)
    assert not model(X).requires_grad and len(list(model.parameters())) == 6
    model.requires_grad_().to("float64")
    assert {p.dtype for p in model.parameters()} == {np.dtype("float64")} == {model.shift.dtype}
    assert model(X).requires_grad
    with pytest.raises(ad.errors.DTypeError, match="floating-point"):
        model.to("int64")


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_are_independent_and_alike(copied):
    model = Network()
    other = copied(model)
    np.testing.assert_array_equal(other(X).numpy(), model(X).numpy())
    assert {id(p) for p in other.parameters()}.isdisjoint(id(p) for p in model.parameters())
    assert all(p.requires_grad for p in other.parameters())


def test_how_it_looks():
    assert repr(nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(2, 3, bias=False)), nn.Dropout(0.1))) == (
        "Sequential(\n"
        "  (0): Flatten(start_dim=1, end_dim=-1)\n"
        "  (1): Sequential(\n"
        "    (0): Linear(in_features=2, out_features=3, bias=False)\n"
        "  )\n"
        "  (2): Dropout(p=0.1)\n"
        ")"
    )
    assert repr(nn.ReLU()) == "ReLU()" and repr(nn.Sequential()) == "Sequential()"


def test_a_module_is_a_tree_of_its_parameters():
    model = Network().eval()
    gradients = ad.grad(lambda m, x: m(x).sum())(model, X)
    assert isinstance(gradients, Network) and not gradients.training
    model(X).sum().backward()
    for (name, g), p in zip(gradients.named_parameters(), model.parameters(), strict=True):
        np.testing.assert_allclose(g.detach(), p.grad, rtol=1e-6, err_msg=name)
    moved = tree.map(lambda p, g: p - 0.1 * g, model, gradients)
    np.testing.assert_allclose(moved.scale.detach(), model.scale.detach() - 0.1 * gradients.scale.detach(), rtol=1e-6)
    assert model.scale.item() == 2
    assert tree.leaves(nn.ReLU()) == [] and isinstance(tree.map(lambda p: p, nn.ReLU()), nn.ReLU)


def test_a_call_with_other_parameters_leaves_the_module_alone():
    model = Network().eval()
    before = model(X).numpy()
    other = nn.functional_call(model, {"scale": 0.0}, X)
    np.testing.assert_array_equal(other, np.ones((2, 4)))
    np.testing.assert_array_equal(model(X).numpy(), before)
    with pytest.raises(KeyError, match="no parameter size; there are scale"):
        nn.functional_call(model, {"size": 0.0}, X)


def test_layers_begin_as_they_should():
    layer = nn.Linear(100, 50)
    for parameter in (layer.weight, layer.bias):
        found = np.abs(parameter.numpy())
        assert 0.08 < found.max() <= 0.1 and parameter.dtype == np.float32
    assert math.isclose(np.std(nn.Embedding(100, 50).weight.numpy()), 1, rel_tol=0.05)
    assert nn.Linear(2, 3, dtype="float64")(np.ones((4, 5, 2))).shape == (4, 5, 3)


def test_each_layer_is_its_function(rng):
    x = rng.normal(size=(2, 3))
    F = nn.functional
    for layer, function in (
        (nn.ReLU(), F.relu),
        (nn.Tanh(), F.tanh),
        (nn.Sigmoid(), F.sigmoid),
        (nn.GELU("tanh"), lambda x: F.gelu(x, "tanh")),
        (nn.SiLU(), F.silu),
        (nn.Softmax(0), lambda x: F.softmax(x, 0)),
        (nn.LayerNorm(3, dtype="float64"), lambda x: F.layer_norm(x, 3)),
    ):
        np.testing.assert_array_equal(np.asarray(layer(ad.tensor(x)).detach()), function(ad.tensor(x)))
    assert nn.Flatten()(np.ones((2, 3, 4))).shape == (2, 12)
    np.testing.assert_array_equal(
        nn.CrossEntropyLoss(label_smoothing=0.1)(x, [0, 1]), F.cross_entropy(x, [0, 1], label_smoothing=0.1)
    )
    np.testing.assert_array_equal(nn.MSELoss("sum")(x, 2 * x), F.mse_loss(x, 2 * x, "sum"))
