"""`python -m arrayad demo`: train a network on handwritten digits by compiled steps, and compare its gradient with differences.

The data are scikit-learn's 1,797 images of 8 by 8 pixels.  Needs the extra `arrayad[demo]`.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from arrayad import kernels, nn, optim
from arrayad.compiler.compile import compile
from arrayad.compiler.toolchain import toolchain, why_no_toolchain
from arrayad.data import Batches, stratified_split
from arrayad.extras import extra
from arrayad.functions.creation import asarray, tensor
from arrayad.modes import no_grad
from arrayad.nn import functional
from arrayad.random import Generator, default_rng
from arrayad.tensor import Tensor
from arrayad.version import __version__

SIZES = (64, 128, 64, 10)
BATCH = 128
LEARNING_RATE = 1e-2
WEIGHT_DECAY = 0.1
LABEL_SMOOTHING = 0.1
PIXEL_NOISE = 0.1
"""The standard deviation of what is added to the pixels in training, which run from 0 to 1."""

TIMED_EPOCHS = 20
"""How many epochs steps are timed in, eager and compiled ones in turns; one before them is not counted."""

COMPARED = 16
"""How many images the gradient is compared on: each parameter costs two evaluations on them."""

Array = np.ndarray[Any, Any]


@dataclass
class Digits:
    """Images, pixels from 0 to 1 in rows of 64, and their labels; those to train on and those held out."""

    train_images: Array
    train_labels: Array
    test_images: Array
    test_labels: Array


@dataclass
class Training:
    """What became of a training run: the trained model, and loss and accuracy after each epoch, on both parts."""

    model: nn.Module
    is_compiled: bool = True
    steps: int = 0
    seconds: float = 0.0
    train_loss: list[float] = field(default_factory=list)
    test_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    test_accuracy: list[float] = field(default_factory=list)


@dataclass
class Speeds:
    """What a step takes, eager and compiled, both in one run: the median over epochs; and how far their losses are apart."""

    steps: int
    eager_seconds: float
    compiled_seconds: float
    first_seconds: float
    """What the compiled steps' first epoch took beyond the others: tracing, and the compiler or its cache."""
    difference: float
    """The largest difference of two losses, relative to the loss."""


@dataclass
class Comparison:
    """A gradient against central differences.  Errors are relative to the largest element of the gradient."""

    parameters: int
    error: float
    across_kink: int
    error_across_kink: float
    gradient_seconds: float
    difference_seconds: float


# --- data and model ----------------------------------------------------------------------------------------------------


def one_blas_thread() -> Any:
    """A context in which BLAS computes alone.

    The products here are small: a second thread brings nothing, and on a busy machine waiting for it takes ten times as long
    as computing.  threadpoolctl comes with scikit-learn.
    """
    return extra("demo", "threadpoolctl", "demo").threadpool_limits(1, user_api="blas")


def load_digits(rng: Generator) -> Digits:
    """The digits, of which a fifth of each class is held out at random."""
    data = extra("demo", "sklearn.datasets", "demo").load_digits()
    images, labels = (data.data / 16).astype(np.float32), data.target.astype(np.int64)
    kept, held_out = stratified_split(labels, 1 / 5, rng)
    return Digits(images[kept], labels[kept], images[held_out], labels[held_out])


def make_model(rng: Generator) -> nn.Sequential:
    """The network: affine maps with relu between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(SIZES):
        layers += [nn.Linear(inputs, outputs, rng=rng), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


# --- training ----------------------------------------------------------------------------------------------------------


class Trainer:
    """A network, its optimiser, its batches, and the step that trains it, compiled or not; all drawn from one generator."""

    def __init__(self, digits: Digits, rng: Generator, is_compiled: bool) -> None:
        model_rng, batch_rng, noise_rng = rng.split(3)
        self.model = model = make_model(model_rng)
        self.optimizer = optimizer = optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        self.batches = Batches(digits.train_images, digits.train_labels, batch_size=BATCH, rng=batch_rng)

        def step(images: Tensor, labels: Tensor) -> Tensor:
            optimizer.zero_grad()
            noisy = images + noise_rng.normal(0.0, PIXEL_NOISE, images.shape, images.dtype)
            loss = functional.cross_entropy(model(noisy), labels, label_smoothing=LABEL_SMOOTHING)
            loss.backward()
            optimizer.step()
            return loss

        self.step: Callable[[Tensor, Tensor], Tensor] = compile(step) if is_compiled else step

    def run_epoch(self) -> list[float]:
        """Go through the data once, and return the loss of each step."""
        losses = [self.step(images, labels) for images, labels in self.batches]
        return [loss.item() for loss in losses]


def train(
    digits: Digits, epochs: int, rng: Generator, progress: Callable[[range], Any] = iter, is_compiled: bool = True
) -> Training:
    """Train a network with AdamW, at a rate that falls from `LEARNING_RATE` to 0 along half a cosine.

    `progress` goes through the epochs; a bar of tqdm's is told loss and accuracy.
    """
    trainer = Trainer(digits, rng, is_compiled)
    run = Training(trainer.model, is_compiled)
    total = epochs * len(trainer.batches)
    started = time.perf_counter()
    bar = progress(range(epochs))
    for _ in bar:
        for images, labels in trainer.batches:
            trainer.optimizer.lr = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * run.steps / total))
            trainer.step(images, labels)
            run.steps += 1
        evaluate(run, digits)
        if hasattr(bar, "set_postfix_str"):
            bar.set_postfix_str(f"test loss {run.test_loss[-1]:.3f}, accuracy {run.test_accuracy[-1]:.1%}")
    run.seconds = time.perf_counter() - started
    return run


def compare_speeds(digits: Digits, rng: Callable[[], Generator], epochs: int) -> Speeds:
    """Train two networks side by side, one by eager steps and one by compiled ones, an epoch each in turns.

    `rng` makes the generator that each is drawn from, in the same state both times: they start alike, and get the same data.
    """
    trainers = [Trainer(digits, rng(), is_compiled) for is_compiled in (False, True)]
    seconds: list[list[float]] = [[], []]
    losses: list[list[float]] = [[], []]
    for _ in range(epochs + 1):
        for trainer, spent, found in zip(trainers, seconds, losses, strict=True):
            started = time.perf_counter()
            found += trainer.run_epoch()
            spent.append(time.perf_counter() - started)
    steps = len(trainers[0].batches)
    eager, compiled = (float(np.median(spent[1:])) for spent in seconds)
    difference = max(abs(a - b) / abs(a) for a, b in zip(*losses, strict=True))
    return Speeds(len(losses[0]), eager / steps, compiled / steps, seconds[1][0] - compiled, difference)


def evaluate(run: Training, digits: Digits) -> None:
    """Add loss and accuracy on both parts to the run."""
    run.model.eval()
    for images, labels, losses, accuracies in (
        (digits.train_images, digits.train_labels, run.train_loss, run.train_accuracy),
        (digits.test_images, digits.test_labels, run.test_loss, run.test_accuracy),
    ):
        with no_grad():
            scores = run.model(images)
            losses.append(functional.cross_entropy(scores, labels).item())
        accuracies.append(float(np.mean(scores.numpy().argmax(axis=1) == labels)))
    run.model.train()


def predictions(run: Training, images: Array) -> Array:
    """The class of the largest score of each image."""
    with no_grad():
        return np.asarray(run.model(images).numpy().argmax(axis=1))


# --- the gradient against differences ------------------------------------------------------------------------------------


def loss_of(parameters: list[Tensor], images: Tensor, labels: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The loss of a network with these weights and biases, in turn, and what goes into its relus."""
    x, inputs = images, []
    for i in range(0, len(parameters), 2):
        x = functional.linear(x if i == 0 else functional.relu(x), parameters[i], parameters[i + 1])
        inputs.append(x)
    return functional.cross_entropy(x, labels), inputs[:-1]


def compare(
    model: nn.Module, images: Array, labels: Array, limit: int | None = None, progress: Callable[[Any], Any] = iter
) -> Comparison:
    """Compare the gradient in float64, over all parameters (or the first `limit` of each array), with differences.

    Where a unit of a relu changes sign between the two evaluations or from the middle to one of them, the loss has a kink
    in between and the difference says nothing of the derivative: such parameters are counted apart.
    """
    values = [np.asarray(p.detach(), np.float64) for p in model.parameters()]
    x, t = tensor(images, np.float64), tensor(labels)
    seconds, gradients = gradient_of(values, x, t)
    largest = max(float(np.max(np.abs(g))) for g in gradients)
    places = [(i, j) for i, value in enumerate(values) for j in range(value.size)[:limit]]
    parameters = [tensor(value) for value in values]
    active = signs(loss_of(parameters, x, t)[1])
    smooth: list[float] = [0.0]
    kinked: list[float] = []
    started = time.perf_counter()
    for i, j in progress(places):
        difference, crosses = central_difference(values, parameters, i, j, x, t, active)
        (kinked if crosses else smooth).append(float(abs(difference - gradients[i].flat[j])) / largest)
    elapsed = time.perf_counter() - started
    return Comparison(len(places), max(smooth), len(kinked), max(kinked, default=0.0), seconds, elapsed)


def gradient_of(values: list[Array], x: Tensor, t: Tensor) -> tuple[float, list[Array]]:
    """The gradient by one sweep, and the least time of ten."""
    seconds = []
    for _ in range(10):
        started = time.perf_counter()
        leaves = [tensor(value, requires_grad=True) for value in values]
        loss_of(leaves, x, t)[0].backward()
        seconds.append(time.perf_counter() - started)
    return min(seconds), [np.asarray(leaf.grad) for leaf in leaves]


def central_difference(
    values: list[Array], parameters: list[Tensor], i: int, j: int, x: Tensor, t: Tensor, active: list[Array]
) -> tuple[float, bool]:
    """The difference quotient by element `j` of parameter `i`, and whether a relu's kink lies within the step."""
    step = np.cbrt(np.finfo(np.float64).eps) * max(1.0, abs(values[i].flat[j]))
    losses, crosses = [], False
    for signed in (step, -step):
        moved = values[i].copy()
        moved.flat[j] += signed
        moved.flags.writeable = False
        loss, inputs = loss_of([*parameters[:i], asarray(moved), *parameters[i + 1 :]], x, t)
        losses.append(loss.item())
        crosses = crosses or any(map(differs, signs(inputs), active))
    return (losses[0] - losses[1]) / (2 * step), crosses


def signs(inputs: list[Tensor]) -> list[Array]:
    """Which units pass their relus."""
    return [z.numpy() > 0 for z in inputs]


def differs(first: Array, second: Array) -> bool:
    """Whether two boolean arrays differ anywhere."""
    return first.tobytes() != second.tobytes()


# --- the picture -------------------------------------------------------------------------------------------------------

BLUE, ORANGE, GREEN, RED, GREY = "#3b6ea8", "#d9822b", "#2f7d4f", "#c0392b", "#8a8f98"
ROWS, COLUMNS = 5, 9


def plot(run: Training, digits: Digits, path: Path) -> None:
    """Write the picture: loss and accuracy by epoch, and held-out digits with what the network takes them for."""
    figure = extra("demo", "matplotlib.figure", "demo").Figure(figsize=(12.6, 6.2), dpi=120, facecolor="white")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.55))
    loss, accuracy = left.subplots(2, 1, sharex=True)
    left.subplots_adjust(left=0.16, right=0.92, top=0.9, bottom=0.1, hspace=0.14)
    draw_curves(loss, run.train_loss, run.test_loss, "cross entropy")
    draw_curves(accuracy, [100 * a for a in run.train_accuracy], [100 * a for a in run.test_accuracy], "accuracy, %")
    loss.set_yscale("log")
    ticks = extra("demo", "matplotlib.ticker", "demo")
    loss.yaxis.set_major_locator(ticks.LogLocator(subs=(1, 2, 3, 5, 7)))
    loss.yaxis.set_minor_locator(ticks.NullLocator())
    loss.yaxis.set_major_formatter(ticks.StrMethodFormatter("{x:g}"))
    loss.legend(frameon=False, loc="upper right", labelcolor="linecolor", fontsize=9)
    lowest = 100 * min(run.test_accuracy[len(run.test_accuracy) // 8 :])
    accuracy.set_ylim(max(0.0, min(90.0, 5 * (lowest // 5))), 100.5)
    accuracy.set_xlabel("epoch", color=GREY)
    for color, reached in ((BLUE, run.train_accuracy[-1]), (ORANGE, run.test_accuracy[-1])):
        place = (len(run.test_accuracy) + 0.4, 100 * reached)
        accuracy.annotate(f"{100 * reached:.1f}", place, color=color, fontsize=9, va="center", annotation_clip=False)
    left.align_ylabels([loss, accuracy])
    left.suptitle(f"{run.steps} steps in {run.seconds:.1f} s", fontsize=11, y=0.96)
    draw_digits(right, run, digits)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def draw_curves(axes: Any, train: list[float], test: list[float], label: str) -> None:
    """One quantity on both parts of the data, by epoch."""
    epochs = np.arange(1, len(train) + 1)
    axes.plot(epochs, train, color=BLUE, lw=1.8, label="training set")
    axes.plot(epochs, test, color=ORANGE, lw=1.8, label="held out")
    axes.set_ylabel(label, color=GREY)
    axes.grid(True, which="major", color="#e6e8eb", lw=0.8)
    axes.tick_params(colors=GREY, which="both", length=0, labelsize=9)
    axes.xaxis.get_major_locator().set_params(integer=True)
    for side in axes.spines.values():
        side.set_visible(False)


def draw_digits(figure: Any, run: Training, digits: Digits) -> None:
    """A grid of held-out digits: the mistakes first, framed in red, then others."""
    found = predictions(run, digits.test_images)
    wrong = np.flatnonzero(found != digits.test_labels)
    shown = np.concatenate([wrong, np.flatnonzero(found == digits.test_labels)])[: ROWS * COLUMNS]
    grid = figure.subplots(ROWS, COLUMNS, squeeze=False)
    figure.subplots_adjust(left=0.02, right=0.98, top=0.86, bottom=0.02, wspace=0.12, hspace=0.42)
    for axes, k in zip(grid.flat, shown, strict=False):
        is_wrong = found[k] != digits.test_labels[k]
        axes.imshow(digits.test_images[k].reshape(8, 8), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
        text = f"{found[k]}, is {digits.test_labels[k]}" if is_wrong else f"{found[k]}"
        axes.set_title(text, fontsize=9, pad=3, color=RED if is_wrong else GREEN, weight="bold" if is_wrong else "normal")
        for side in axes.spines.values():
            side.set(color=RED if is_wrong else "#d5d8dc", linewidth=2 if is_wrong else 0.8)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
    right, total = len(found) - len(wrong), len(found)
    figure.suptitle(f"{right} of {total} held-out digits right ({right / total:.1%}); mistakes first", fontsize=11, y=0.96)


# --- the program -------------------------------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the demo."""
    parser.add_argument("--seed", type=int, default=0, help="of the split, the network and the batches (default 0)")
    parser.add_argument("--seeds", type=int, default=1, help="train with so many seeds in a row, and list their accuracies")
    parser.add_argument("--epochs", type=int, default=30, help="how often the data are gone through (default 30)")
    parser.add_argument("--out", type=Path, default=Path("out"), help="the directory of the picture (default out)")
    parser.add_argument("--eager", action="store_true", help="train without compiling the steps, and time none")
    parser.add_argument("--no-plot", action="store_true", help="write no picture")
    parser.add_argument("--no-check", action="store_true", help="do not compare the gradient with differences")


def run(options: argparse.Namespace) -> None:
    """Train, compare, draw, and print what was found.

    **Raises** `SystemExit` for fewer than one epoch, or where the extra is not installed.
    """
    if options.epochs < 1:
        raise SystemExit(f"[demo] --epochs is {options.epochs}; at least 1 is needed")
    bar = extra("demo", "tqdm", "demo").tqdm
    extra("demo", "sklearn", "demo")
    with one_blas_thread(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"\[compile\] there is no C compiler")  # the heading says so
        print(heading(not options.eager))
        if options.seeds > 1:
            return print_accuracies(range(options.seed, options.seed + options.seeds), options.epochs, not options.eager)
        data_rng, training_rng = default_rng(options.seed).split()
        digits = load_digits(data_rng)

        def shown(epochs: range) -> Any:
            return bar(epochs, desc="training", ncols=100)

        result = train(digits, options.epochs, training_rng, shown, not options.eager)
        print_lines(training_lines(result, digits))
        if not options.eager:
            speeds = compare_speeds(digits, lambda: default_rng(options.seed).split()[1], TIMED_EPOCHS)
            print_lines(speed_lines(speeds))
        if not options.no_check:
            images, labels = digits.train_images[:COMPARED], digits.train_labels[:COMPARED]
            compared = compare(result.model, images, labels, progress=lambda p: bar(p, desc="differences", ncols=100))
            print_lines(comparison_lines(compared))
    if not options.no_plot:
        path = options.out / "digits.png"
        plot(result, digits, path)
        print_lines([("picture", str(path), "")])


def heading(is_compiled: bool) -> str:
    """What runs: the kernels, and what becomes of the steps."""
    info = kernels.info()
    computes = f"C kernels for {info['isa']}, {info['threads']} threads" if info["backend"] == "c" else "NumPy kernels"
    compiler = toolchain()
    if not is_compiled:
        steps = "run eagerly"
    elif compiler is None:
        steps = f"replayed by these kernels, for there is no C compiler: {why_no_toolchain()}"
    else:
        steps = f"compiled by {compiler.version}"
    return f"arrayad {__version__}, {computes}; BLAS: {info['blas']}, one thread\nTraining steps are {steps}\n"


def training_lines(result: Training, digits: Digits) -> Iterator[tuple[str, str, str]]:
    """The lines of the table on training."""
    held_out = len(digits.test_labels)
    right = round(result.test_accuracy[-1] * held_out)
    count = sum(p.size for p in result.model.parameters())
    yield "images", f"{len(digits.train_labels):,}", f"to train on; {held_out} held out, a fifth of each class"
    yield "network", " → ".join(map(str, SIZES)), f"{count:,} parameters, relu, float32"
    how = f"{manner(result.is_compiled)} steps of {BATCH} images"
    yield "training", f"{result.seconds:.2f} s", f"{len(result.test_loss)} epochs, {result.steps} {how}"
    yield "test accuracy", f"{result.test_accuracy[-1]:.2%}", f"{right} of {held_out}"


def manner(is_compiled: bool) -> str:
    """What steps are that are to be compiled, or not."""
    if not is_compiled:
        return "eager"
    return "replayed" if toolchain() is None else "compiled"


def speed_lines(found: Speeds) -> Iterator[tuple[str, str, str]]:
    """The lines of the table on the time of a step."""
    how = manner(is_compiled=True)
    yield "eager step", f"{found.eager_seconds * 1e3:.2f} ms", "with its batch; the median of epochs that took turns"
    yield f"{how} step", f"{found.compiled_seconds * 1e3:.2f} ms", f"once made, which took {found.first_seconds:.2f} s"
    speed_up = found.eager_seconds / found.compiled_seconds
    agree = f"agree to {found.difference:.0e}" if found.difference else "are the same"
    yield "speed-up", f"{speed_up:.2f}", f"the losses of all {found.steps} steps {agree}"


def comparison_lines(found: Comparison) -> Iterator[tuple[str, str, str]]:
    """The lines of the table on the gradient."""
    yield "gradient", f"{found.gradient_seconds * 1e3:.2f} ms", f"one sweep, float64, {COMPARED} images"
    yield "differences", f"{found.difference_seconds * 1e3:,.0f} ms", f"{2 * found.parameters:,} evaluations"
    yield "ratio", f"{found.difference_seconds / found.gradient_seconds:,.0f}", ""
    smooth = found.parameters - found.across_kink
    yield "largest error", f"{found.error:.1e}", f"of the largest element, over {smooth:,} of {found.parameters:,} parameters"
    yield "across a kink", f"{found.across_kink}", f"parameters, largest error {found.error_across_kink:.1e}"


def print_lines(lines: Any) -> None:
    """Print lines of the table: what, value, remark."""
    for name, value, remark in lines:
        print(f"{name:<15}{value:>20}   {remark}".rstrip())
    print(flush=True)


def print_accuracies(seeds: range, epochs: int, is_compiled: bool) -> None:
    """Train once for each seed, and print accuracies and times."""
    print(f"{'seed':>4}  {'test accuracy':>13}  {'training':>8}")
    accuracies = []
    for seed in seeds:
        data_rng, training_rng = default_rng(seed).split()
        result = train(load_digits(data_rng), epochs, training_rng, is_compiled=is_compiled)
        accuracies.append(result.test_accuracy[-1])
        print(f"{seed:>4}  {accuracies[-1]:>13.2%}  {result.seconds:>6.2f} s", flush=True)
    reached = sum(accuracy >= 0.97 for accuracy in accuracies)
    print(f"mean  {np.mean(accuracies):>13.2%}  {reached} of {len(accuracies)} reach 97 %")
