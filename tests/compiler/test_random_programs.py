"""Random programs, compiled, beside what the rows' own kernels make of them; rounding; the same bits; the sanitizers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mpmath import mp

import arrayad as ad
from arrayad import kernels, tree
from arrayad.compiler.executable import Executable
from arrayad.readers.run import runner
from arrayad.shaped import Shaped
from arrayad.tracing import Tape, record

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from programs import MODES, Program, operands_of  # noqa: E402

ULP = 4.0


def tape_of(function: Any, operands: list[Any]) -> Tape:
    return record(lambda *xs: tree.leaves(function(*xs)), [Shaped(x.shape, x.dtype) for x in operands])


def compare(seed: int, mode: str, steps: int) -> None:
    """A program's outputs, compiled, are those of its replay but for rounding."""
    operands = operands_of(seed)
    tape = tape_of(MODES[mode](Program(seed, steps)), operands)
    with np.errstate(all="ignore"):
        wanted = runner(tape)(list(operands))
    found = Executable(tape)(list(operands))
    single = any(getattr(entry.output, "dtype", None) == np.float32 for entry in (*tape.inputs, *tape.entries))
    rounding = 1e-4 if single else 1e-9
    for y, z in zip(found, map(np.asarray, wanted), strict=True):
        scale = max(1.0, float(np.abs(z[np.isfinite(z)]).max(initial=0))) if z.dtype.kind == "f" else 0.0
        np.testing.assert_allclose(
            y, z, rtol=rounding, atol=rounding * scale, strict=True, err_msg=f"{mode} of Program({seed}, {steps})"
        )


@pytest.mark.parametrize("mode", MODES)
def test_programs(mode: str) -> None:
    compare(11 + list(MODES).index(mode), mode, 5)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(12))
def test_many_programs(seed: int, mode: str) -> None:
    compare(1000 + seed, mode, 2 + seed % 11)


FAULTS = [(105, "gradient", 8), (404, "gradient", 10), (20040, "gradient", 18)]
"""Programs that went wrong once."""


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "mode", "steps"), FAULTS)
def test_programs_that_went_wrong_once(seed: int, mode: str, steps: int) -> None:
    compare(seed, mode, steps)


# --- large arrays --------------------------------------------------------------------------------------------------------

LARGE: dict[str, Any] = {
    "elementwise and sums": lambda x: (ad.sum(ad.sin(x) * x, axis=0), ad.mean(x * x), ad.max(x, axis=1), ad.tanh(x[1:] - x[:-1])),
    "normalised": lambda x: (x - ad.mean(x, axis=1, keepdims=True)) / ad.sqrt(ad.var(x, axis=1, keepdims=True) + 1e-5),
    "softmax along the first axis": lambda x: ad.exp(x - ad.logsumexp(x, axis=0, keepdims=True)),
    "transposed": lambda x: ad.swapaxes(x, 0, 1) * 2.0 + ad.sum(x, axis=0)[:, None],
    "rolled": lambda x: ad.roll(x, 3, axis=0) - 2.0 * x + ad.flip(x, axis=1),
    "gradient": ad.grad(lambda x: ad.sum(ad.sin(x[1:] * x[:-1])) + ad.logsumexp(x)),
    "one axis": lambda x: (ad.sum(ad.reshape(x, (-1,))[1:] * ad.reshape(x, (-1,))[:-1]), ad.min(x), ad.prod(ad.cos(x * 1e-4))),
    "truths": lambda x: (ad.all(x > -9.0, axis=0), ad.any(x > 3.0), ad.sum(x > 0.5, axis=1)),
}
SHAPES = [(1009, 1013), (1_000_003, 1), (17, 65537), (65536, 16)]


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", LARGE)
def test_arrays_of_a_million_in_parts(name: str, shape: tuple[int, int]) -> None:
    """Right, and the same to the bit by one thread, by two, and again."""
    x = np.random.default_rng(0).normal(size=shape)
    tape = tape_of(LARGE[name], [x])
    made = Executable(tape)
    wanted = list(map(np.asarray, runner(tape)([x])))
    found = made([x])
    for y, z in zip(found, wanted, strict=True):
        np.testing.assert_allclose(y, z, rtol=1e-9, atol=1e-9 * float(np.abs(z).max()), strict=True)
    same_bits(made, [x])


def same_bits(made: Executable, operands: list[Any]) -> None:
    before = kernels.info()["threads"]
    results = []
    try:
        for threads in (1, 2, 1, 2):
            kernels.set_threads(threads)
            results.append([y.tobytes() for y in made(list(operands))])
    finally:
        kernels.set_threads(before)
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("seed", [3, 4])
def test_the_same_bits_from_run_to_run_and_for_any_number_of_threads(seed: int) -> None:
    operands = operands_of(seed)
    same_bits(Executable(tape_of(Program(seed, 6), operands)), operands)


def test_threads_call_one_program_at_once() -> None:
    """Each call has an arena of its own."""
    compiled = ad.compile(lambda x: ad.cumulative_sum(ad.sort(ad.sin(x), axis=0), axis=0) @ ad.cos(x))
    operands = [ad.tensor(np.random.default_rng(k).normal(size=(60, 60))) for k in range(4)]
    compiled(operands[0])
    wanted = [compiled(x).numpy() for x in operands]
    wrong: list[int] = []

    def work(k: int) -> None:
        wrong.extend(k for _ in range(100) if not np.array_equal(compiled(operands[k]).numpy(), wanted[k]))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# --- rounding ------------------------------------------------------------------------------------------------------------


def exact(program: Any, operands: list[Any]) -> list[np.ndarray[Any, Any]]:
    """The outputs to 50 digits."""
    with mp.workdps(50):
        given = [ad.tensor(np.vectorize(mp.mpf, otypes=[object])(x)) for x in operands]
        return [y.numpy() for y in tree.leaves(program(*given))]


def largest(tape: Tape, operands: list[Any]) -> float:
    """The largest intermediate."""
    values: dict[Any, Any] = dict(zip(tape.inputs, operands, strict=True))
    most = max((float(np.abs(x).max(initial=0)) for x in operands if x.dtype.kind == "f"), default=0.0)
    for entry in tape.entries:
        given = [values.get(x.history, x.value) if isinstance(x, ad.Tensor) else x for x in entry.inputs]
        y = values[entry] = entry.primitive.compute(*given, **entry.params)
        if isinstance(y, np.ndarray | np.floating) and y.dtype.kind == "f":
            most = max(most, float(np.abs(y).max(initial=0)))
    return most


def check_rounding(program: Any, operands: list[Any]) -> None:
    """The error is at most twice eager's, plus 4 ulp of the largest intermediate."""
    tape = tape_of(program, operands)
    found = Executable(tape)(list(operands))
    eager = [np.asarray(y) for y in tree.leaves(program(*map(ad.tensor, operands)))]
    allowed = ULP * float(np.spacing(largest(tape, operands)))
    with mp.workdps(50):
        for y, z, truth in zip(found, eager, exact(program, operands), strict=True):
            ours, theirs = (
                max((abs(mp.mpf(float(a)) - b) for a, b in zip(x.flat, truth.flat, strict=True)), default=0) for x in (y, z)
            )
            assert ours <= 2 * theirs + allowed, f"{float(ours):.3g} for eager's {float(theirs):.3g}, in {program}"


def loss(w: Any, x: Any) -> Any:
    return ad.mean(ad.logsumexp(ad.tanh(x @ w), axis=1))


WHOLE: dict[str, tuple[Any, list[tuple[int, ...]]]] = {
    "chain": (lambda x: ad.grad(lambda x: ad.sum(ad.sin(ad.tanh(x) * 1.1 + ad.exp(-x * x)) * ad.cos(x)))(x), [(10,)]),
    "network": (ad.grad(loss), [(6, 4), (5, 6)]),
    "rosenbrock": (ad.grad(lambda x: ad.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)), [(20,)]),
    "layer norm": (
        lambda x: (x - ad.mean(x, axis=-1, keepdims=True)) / ad.sqrt(ad.var(x, axis=-1, keepdims=True) + 1e-5),
        [(7, 16)],
    ),
    "softmax": (lambda x: ad.exp(x - ad.logsumexp(x, axis=1, keepdims=True)), [(5, 9)]),
    "sums": (lambda x: (ad.sum(x), ad.sum(x, axis=0), ad.mean(x * x, axis=1), ad.prod(x, axis=0)), [(40, 11)]),
    "product": (lambda x, y: x @ y, [(6, 17), (17, 5)]),
}


@pytest.mark.parametrize("name", ["chain", "sums"])
def test_rounding(name: str) -> None:
    program, shapes = WHOLE[name]
    check_rounding(program, [np.random.default_rng(0).normal(size=shape) for shape in shapes])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", WHOLE)
def test_rounding_of_whole_programs(name: str, seed: int) -> None:
    program, shapes = WHOLE[name]
    check_rounding(program, [np.random.default_rng(seed).normal(size=shape) for shape in shapes])


# --- sanitizers ----------------------------------------------------------------------------------------------------------


def sanitised(*arguments: str) -> None:
    """Programs under the sanitizers, in a process that has their libraries."""
    libraries = []
    for name in ("libasan.so", "libubsan.so"):
        found = subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=False).stdout.strip()
        if not os.path.isabs(found):
            pytest.skip("gcc has no sanitizers here")
        libraries.append(found)
    paths = [str(HERE), str(HERE.parent), str(HERE.parent.parent)]
    environment = os.environ | {
        "LD_PRELOAD": " ".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONPATH": os.pathsep.join(paths),
    }
    ran = subprocess.run(
        [sys.executable, str(HERE / "sanitising.py"), *arguments], capture_output=True, text=True, env=environment, check=False
    )
    assert ran.returncode == 0 and ran.stdout.endswith("done\n"), ran.stdout[-500:] + ran.stderr[-4000:]


def test_the_sanitizers_see_a_read_beside_an_array() -> None:
    with pytest.raises(AssertionError, match="AddressSanitizer"):
        sanitised("fault")


ROWS = sorted(ad.primitive.TABLE)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, len(ROWS), 10))
def test_rows_under_the_sanitizers(start: int) -> None:
    sanitised("rows", *ROWS[start : start + 10])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(300, 308, 4))
def test_programs_under_the_sanitizers(seed: int) -> None:
    sanitised("programs", *map(str, range(seed, seed + 4)))
