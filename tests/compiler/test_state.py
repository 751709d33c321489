"""Steps that change what they close over: as without the compiler, call for call."""

from __future__ import annotations

import collections
import copy
import pickle
import threading
import types

import numpy as np
import pytest

import arrayad as ad
from arrayad import nn, optim
from arrayad.errors import CompileError

CALLS = 5


def array(*shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


class Problem:
    """A network with dropout, its optimiser and a step, built anew from the same seed."""

    def __init__(self, kind, **options):
        rng = ad.random.default_rng(3)
        self.model = nn.Sequential(nn.Linear(5, 8, rng=rng), nn.ReLU(), nn.Dropout(0.2, rng=rng), nn.Linear(8, 3, rng=rng))
        self.optimizer = kind(self.model.parameters(), **options)
        self.rng = rng

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss


OPTIMIZERS = [
    (optim.SGD, {"lr": 0.1}),
    (optim.SGD, {"lr": 0.1, "weight_decay": 0.1}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.3}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    (optim.Adam, {"lr": 0.01}),
    (optim.Adam, {"lr": 0.01, "betas": (0.8, 0.99), "eps": 1e-5, "weight_decay": 0.1}),
    (optim.AdamW, {"lr": 0.01}),
]


@pytest.mark.parametrize("kind, options", OPTIMIZERS)
def test_training_steps_are_those_without_the_compiler(kind, options):
    eager, compiled = Problem(kind, **options), Problem(kind, **options)
    step = ad.compile(compiled.step)
    start = [p.numpy() for p in eager.model.parameters()]
    for i in range(CALLS):
        x, y = array(7, 5, dtype="float32", seed=i), np.random.default_rng(i).integers(0, 3, 7)
        for problem in (eager, compiled):
            problem.optimizer.lr = options["lr"] / (i + 1)
        found, wanted = step(x, y), eager.step(x, y)
        np.testing.assert_allclose(found.item(), wanted.item(), rtol=2e-6)
    assert step.traces == 1
    assert compiled.rng.counter.item() == eager.rng.counter.item() > 0
    assert compiled.optimizer.steps == eager.optimizer.steps == [CALLS] * 4
    assert type(compiled.optimizer.steps[0]) is int and type(compiled.optimizer.lr) is float
    for p, q, before in zip(compiled.model.parameters(), eager.model.parameters(), start, strict=True):
        assert p.is_leaf and p.requires_grad and not p.grad.requires_grad
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-4, atol=1e-6)
        assert np.abs(p.numpy() - before).max() > 1e-3
    state = compiled.optimizer.state_dict()
    for remembered, expected in zip(state["state"], eager.optimizer.state_dict()["state"], strict=True):
        assert remembered.keys() == expected.keys()
        for key, value in remembered.items():
            assert isinstance(value, np.ndarray)
            np.testing.assert_allclose(value, expected[key], rtol=1e-4, atol=1e-7)


def test_eager_and_compiled_steps_may_alternate_and_the_state_may_be_loaded_and_pickled():
    eager, mixed = Problem(optim.Adam, lr=0.1), Problem(optim.Adam, lr=0.1)
    step = ad.compile(mixed.step)
    x, y = array(7, 5, dtype="float32"), np.arange(7) % 3
    for i in range(6):
        eager.step(x, y)
        (step if i % 2 else mixed.step)(x, y)
        mixed.optimizer.load_state_dict(pickle.loads(pickle.dumps(mixed.optimizer.state_dict())))
        mixed.model.load_state_dict(copy.deepcopy(mixed.model.state_dict()))
    for p, q in zip(mixed.model.parameters(), eager.model.parameters(), strict=True):
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-5, atol=1e-6)
    assert step.traces == 1


def test_several_steps_in_one_call():
    def several(problem, x, y):
        for _ in range(3):
            loss = problem.step(x, y)
        return loss

    eager, compiled = Problem(optim.SGD, lr=0.1, momentum=0.9), Problem(optim.SGD, lr=0.1, momentum=0.9)
    run = ad.compile(lambda x, y: several(compiled, x, y))
    x, y = array(7, 5, dtype="float32"), np.arange(7) % 3
    for _ in range(3):
        np.testing.assert_allclose(run(x, y).item(), several(eager, x, y).item(), rtol=1e-5)
    assert run.traces == 1 and compiled.optimizer.steps == [9] * 4


def test_every_hyperparameter_that_is_assigned_takes_effect():
    x, y = array(7, 5, dtype="float32"), np.arange(7) % 3
    assignments = [("lr", 0.3), ("weight_decay", 0.2), ("betas", (0.5, 0.9)), ("eps", 1e-2)]
    eager, compiled = Problem(optim.Adam, lr=0.1), Problem(optim.Adam, lr=0.1)
    step = ad.compile(compiled.step)
    for name, value in assignments:
        for problem in (eager, compiled):
            setattr(problem.optimizer, name, value)
        np.testing.assert_allclose(step(x, y).item(), eager.step(x, y).item(), rtol=1e-5)
        np.testing.assert_allclose(step(x, y).item(), eager.step(x, y).item(), rtol=1e-5)
    assert step.traces == 1


def test_what_makes_another_program_of_an_optimiser_is_traced_again():
    x, y = array(7, 5, dtype="float32"), np.arange(7) % 3
    eager, compiled = Problem(optim.SGD, lr=0.1, momentum=0.9), Problem(optim.SGD, lr=0.1, momentum=0.9)
    step = ad.compile(compiled.step)
    for momentum in (0.9, 0.5, 0.5):
        for problem in (eager, compiled):
            problem.optimizer.momentum = momentum
        np.testing.assert_allclose(step(x, y).item(), eager.step(x, y).item(), rtol=1e-5)
    assert step.traces == 2


def test_a_schedule_inside_the_step():
    def build():
        w = ad.tensor([1.0, 2.0], requires_grad=True)
        optimizer = optim.SGD([w], lr=0.1)

        def step():
            optimizer.lr = optimizer.lr * 0.5
            ad.sum(w * w).backward()
            optimizer.step()
            optimizer.zero_grad()

        return w, optimizer, step

    (w, optimizer, step), (v, other, eager) = build(), build()
    compiled = ad.compile(step)
    for _ in range(4):
        compiled(), eager()
        np.testing.assert_allclose(w.numpy(), v.numpy(), rtol=1e-15)
        assert optimizer.lr == other.lr and type(optimizer.lr) is float and w.grad is None
    assert compiled.traces == 1


def test_gradients_add_up_over_calls_as_they_do_without_the_compiler():
    w = ad.tensor([1.0, 2.0], requires_grad=True)
    accumulate = ad.compile(lambda x: ad.sum(w * x).backward())
    for i in range(1, 5):
        accumulate(ad.tensor([1.0, 3.0]))
        assert w.grad.tolist() == [i, 3 * i]
    w.grad = None
    accumulate(ad.tensor([1.0, 3.0]))
    assert w.grad.tolist() == [1, 3]
    assert accumulate.traces == 2  # with a gradient before, and without


def test_clipping_of_gradients():
    def build():
        w = ad.tensor([3.0, 4.0], requires_grad=True)
        optimizer = optim.SGD([w], lr=0.1)

        def step():
            ad.sum(w * w).backward()
            norm = ad.sqrt(ad.sum(w.grad**2))
            w.grad *= ad.minimum(1.0, 1.0 / norm)
            optimizer.step()
            optimizer.zero_grad()
            return norm

        return w, step

    (w, step), (v, eager) = build(), build()
    compiled = ad.compile(step)
    for _ in range(3):
        assert compiled().item() == pytest.approx(eager().item(), rel=1e-14)
    np.testing.assert_allclose(w.numpy(), v.numpy(), rtol=1e-14)


# --- Tensors, arrays, attributes --------------------------------------------------------------------------------------

TOTAL = ad.tensor(0.0)


def test_tensors_that_are_changed_in_place():
    buffer, count = ad.zeros(3), {"n": ad.tensor(0)}

    @ad.compile
    def f(x):
        global TOTAL
        buffer[1] = x
        count["n"] += 1
        TOTAL = TOTAL + x
        return buffer * 2

    before = TOTAL.item()
    for i in range(1, 4):
        assert f(ad.tensor(float(i))).tolist() == [0, 2 * i, 0]
        assert buffer.tolist() == [0, i, 0] and count["n"].item() == i
    assert TOTAL.item() == before + 6 and f.traces == 1 and buffer.history is None


def test_attributes_items_and_closure_variables_that_hold_other_tensors():
    class Average:
        def __init__(self):
            self.value = ad.tensor(0.0)
            self.parts = [ad.tensor(0.0), ad.tensor(1.0)]

        def update(self, x):
            nonlocal last
            self.value = 0.5 * self.value + x
            self.parts[0], self.parts[1] = self.parts[1], self.parts[0] + x
            self.latest = {"x": x * 2}
            last = self.value
            return self.value

    last = ad.tensor(-1.0)
    compiled, eager = Average(), Average()
    update = ad.compile(compiled.update)
    for i in range(4):
        found = update(ad.tensor(float(i)))
        value = last
        wanted = eager.update(ad.tensor(float(i)))
        assert found.item() == wanted.item() == value.item() == compiled.value.item()
        assert found is compiled.value
        assert [x.item() for x in compiled.parts] == [x.item() for x in eager.parts]
        assert compiled.latest["x"].item() == 2 * i
    assert update.traces <= 2


def test_a_tensor_that_is_replaced_outside_is_read_anew():
    box = {"w": ad.tensor([1.0, 2.0])}
    f = ad.compile(lambda: box["w"] * 2)
    assert f().tolist() == [2, 4]
    box["w"] = ad.tensor([5.0, 6.0])
    assert f().tolist() == [10, 12]
    box["w"][0] = 7.0
    assert f().tolist() == [14, 12] and f.traces == 1
    box["w"] = ad.tensor([1.0])
    assert f().tolist() == [2] and f.traces == 2
    box["w"] = 3.0
    assert f() == 6.0


def test_arrays_that_are_changed_in_place_or_replaced():
    data = np.arange(6.0).reshape(2, 3)
    box = [np.ones(3)]
    f = ad.compile(lambda x: ad.asarray(data) @ x + ad.sum(box[0] * x) + ad.sum(x * data[1]) + ad.tensor(data)[0, 0])

    def wanted(x):
        return data @ x + box[0] @ x + data[1] @ x + data[0, 0]

    x = array(3)
    for _ in range(3):
        np.testing.assert_allclose(f(ad.tensor(x)).numpy(), wanted(x), rtol=1e-14)
        data += 1.0
        box[0] = box[0] * 2
    assert f.traces == 1


def test_an_array_that_numpy_reads_is_compared():
    data = np.ones(3)
    f = ad.compile(lambda x: x * float(np.mean(data)))
    assert f(ad.tensor(1.0)).item() == 1
    data[0] = 4.0
    assert f(ad.tensor(1.0)).item() == 2 and f.traces == 2


def test_the_shared_generator_and_its_seed():
    f = ad.compile(lambda x: nn.functional.dropout(x, 0.5))
    x = ad.ones(20)
    for seed in (0, 5):
        ad.random.manual_seed(seed)
        found = [f(x).tolist() for _ in range(3)]
        ad.random.manual_seed(seed)
        assert found == [nn.functional.dropout(x, 0.5).tolist() for _ in range(3)]
    assert f.traces == 1


def test_a_compiled_model_can_be_trained_from_outside():
    def build():
        model = nn.Sequential(
            nn.Linear(4, 6, rng=ad.random.default_rng(1)), nn.Tanh(), nn.Linear(6, 1, rng=ad.random.default_rng(2))
        )
        return model, optim.SGD(model.parameters(), lr=0.1)

    (model, optimizer), (other, other_optimizer) = build(), build()
    compiled = ad.compile(model)
    x = ad.tensor(array(8, 4, dtype="float32"))
    for _ in range(4):
        losses = []
        for forward, chosen in ((compiled, optimizer), (other, other_optimizer)):
            chosen.zero_grad()
            loss = ad.mean(forward(x) ** 2)
            loss.backward()
            chosen.step()
            losses.append(loss.item())
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-5, atol=1e-7)
    assert compiled.traces == 1 and len(list(compiled.parameters())) == 4
    with ad.no_grad():
        assert not compiled(x).requires_grad
    model.eval()
    np.testing.assert_allclose(compiled(x).numpy(), model(x).numpy(), rtol=1e-6)


def test_second_derivatives_of_what_a_compiled_function_returned():
    w = ad.tensor([1.0, 2.0], requires_grad=True)
    f = ad.compile(lambda x: ad.sum(w**3 * x))
    for _ in range(2):
        w.grad = None
        f(ad.tensor([1.0, 10.0])).backward(create_graph=True)
        assert w.grad.tolist() == [3, 120]
        first = w.grad
        w.grad = None
        ad.sum(first).backward()
        assert w.grad.tolist() == [6, 120]


def test_an_exception_leaves_everything_as_it_was():
    w = ad.tensor([1.0, 2.0], requires_grad=True)
    other, box = ad.tensor(1.0), {"x": ad.tensor(1.0)}
    optimizer = optim.SGD([w], lr=0.1, momentum=0.9)

    @ad.compile
    def f(x):
        nonlocal other
        ad.sum(w * x).backward()
        optimizer.step()
        box["x"] = box["x"] + 1
        box["new"] = x
        other = other * 5
        raise KeyError("mine")

    history = w.history
    with pytest.raises(KeyError, match="mine"):
        f(ad.tensor(1.0))
    assert w.tolist() == [1, 2] and w.history is history and w.grad is None
    assert other.item() == 1 and box["x"].item() == 1 and "new" not in box
    assert optimizer.steps == [0] and ad.sin(ad.tensor(0.0)).item() == 0
    ad.sum(w * w).backward()
    assert w.grad.tolist() == [2, 4]


def test_growing_lists_of_tensors_are_refused_at_once():
    losses = []

    @ad.compile
    def f(x):
        losses.append(x * 2)
        return x

    with pytest.raises(CompileError, match="losses, which grows with each call"):
        f(ad.tensor(1.0))
    assert losses == []


def test_threads_that_change_one_state_take_turns():
    total = ad.tensor(0)

    @ad.compile
    def add(x):
        nonlocal total
        total += x

    threads = [threading.Thread(target=lambda: [add(ad.tensor(1)) for _ in range(100)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total.item() == 400 and add.traces == 1


def test_a_recurrent_network_in_a_scan_with_dropout_and_adam():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            rng = ad.random.default_rng(1)
            self.inner, self.outer = nn.Linear(3, 4, rng=rng), nn.Linear(4, 4, rng=rng)
            self.dropout = nn.Dropout(0.3, rng=rng)
            self.register_buffer("seen", ad.tensor(0))

        def forward(self, xs):
            self.seen += 1
            last, _ = ad.scan(lambda h, x: (ad.tanh(self.inner(x) + self.outer(h)), None), ad.zeros(4, dtype="float32"), xs)
            return self.dropout(last)

    def build():
        model = Recurrent()
        optimizer = optim.Adam(model.parameters(), lr=0.05)

        def step(xs):
            optimizer.zero_grad()
            loss = ad.sum(model(xs) ** 2)
            loss.backward()
            optimizer.step()
            return {"loss": loss, "norm": ad.sqrt(sum(ad.sum(p.grad**2) for p in model.parameters()))}

        return model, step

    (model, step), (other, eager) = build(), build()
    compiled = ad.compile(step)
    for i in range(4):
        xs = ad.tensor(array(6, 3, dtype="float32", seed=i))
        found, wanted = compiled(xs), eager(xs)
        for key in wanted:
            assert found[key].item() == pytest.approx(wanted[key].item(), rel=1e-5)
            assert not found[key].requires_grad or key == "loss"
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-4, atol=1e-6)
    assert model.seen.item() == 4 and compiled.traces == 1
    length = len(compiled.tape)
    compiled(ad.tensor(array(12, 3, dtype="float32")))
    assert len(compiled.tape) == length  # the loop is one operation, however long it is


def test_tensors_in_containers_that_the_code_does_not_name():
    class Register(collections.UserDict):
        pass

    register, queue, hidden = Register(a=ad.tensor(1.0)), collections.deque([ad.tensor(2.0)], maxlen=1), Register()
    hidden.data["deep"] = types.SimpleNamespace(inner=[ad.tensor(5.0)])
    f = ad.compile(lambda x: register["a"] + queue[0] + sum(part.inner[0] for part in hidden.values()) * x)
    x = ad.tensor(1.0)
    assert [f(x).item(), f(x).item(), f(x).item()] == [8, 8, 8]
    register["a"] = ad.tensor(10.0)
    assert f(x).item() == 17
    queue.append(ad.tensor(20.0))
    assert f(x).item() == 35
    hidden.data["deep"].inner[0] = ad.tensor(6.0)
    assert f(x).item() == 36
    hidden.data["deep"] = types.SimpleNamespace(inner=[ad.tensor(7.0)])
    assert f(x).item() == 37


def test_the_same_array_in_two_tensors_is_told_apart():
    w = ad.tensor([1.0, 2.0], requires_grad=True)
    average = w.detach()  # shares its value
    optimizer = optim.SGD([w], lr=0.5)

    @ad.compile
    def step():
        nonlocal average
        average = 0.5 * average + 0.5 * w.detach()
        ad.sum(w).backward()
        optimizer.step()
        optimizer.zero_grad()
        return average - w.detach()

    expected, value = np.array([1.0, 2.0]), np.array([1.0, 2.0])
    for _ in range(3):
        expected, value = 0.5 * expected + 0.5 * value, value - 0.5
        np.testing.assert_allclose(step().numpy(), expected - value)
