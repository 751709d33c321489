"""What compiled programs say of themselves: their text, their report, their times, their drawing."""

from __future__ import annotations

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import CompileError


def array(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def chain():
    compiled = ad.compile(lambda x: ad.sum(ad.exp(ad.sin(x) * 2.0)))
    compiled(array(1000))
    return compiled


def test_the_source_names_the_function_its_ends_and_the_users_lines():
    w = ad.tensor(np.ones(3))

    def renew(x):
        w[:] = ad.tanh(w + x)
        return {"total": ad.sum(w)}

    compiled = ad.compile(renew)
    compiled(array(3))
    head, text = compiled.source.split("*/", 1)
    assert "renew: 2 inputs, 2 outputs" in head
    assert "g0 = x: f64[3]" in head
    assert "g1 = w: f64[3]" in head
    assert "the new value of w: f64[3]" in head
    assert "result['total']: f64[]" in head
    line = next(line for line in text.splitlines() if "tanh" in line and line.startswith("/*"))
    assert "add" in line and f"test_report.py:{renew.__code__.co_firstlineno + 1}" in line
    assert text[text.index(line) :].split("\n", 2)[1].startswith("static void kernel_0(")


def test_the_source_holds_only_the_scalar_functions_that_are_used():
    compiled = ad.compile(lambda x: ad.sigmoid(x) + ad.maximum(x, 0.5))
    compiled(array(3))
    assert "NAME(sigmoid)" in compiled.source and "NAME(maximum)" in compiled.source
    assert "NAME(gaussian)" not in compiled.source and "NAME(gelu)" not in compiled.source
    compiled = ad.compile(lambda x: ad.logaddexp(x, 1.0))  # which needs maximum
    compiled(array(3))
    assert compiled.source.index("NAME(maximum)(T") < compiled.source.index("NAME(logaddexp)(T")


def test_the_report_counts_what_is_fused_and_what_moves():
    report = chain().report()
    assert (report.operations, report.loops, report.calls, report.python) == (4, 1, 0, {})
    assert report.bytes_moved == 8 * 1000 + 8
    assert report.arena == 64  # where the sums of a kernel's parts meet
    (row,) = report.rows
    assert row.seconds is None and row.runs == 1 and row.kind == "loops"
    assert row.operations.split(", ")[0] == "sin" and "test_report.py" in row.places
    assert report.flops == ad.trace(lambda x: ad.sum(ad.exp(ad.sin(x) * 2.0)))(array(1000)).cost().forward.flops


def test_the_report_tells_which_rows_run_in_python():
    compiled = ad.compile(lambda x: ad.linalg.eigvalsh(x) * 2.0 + ad.linalg.eigvalsh(x.T + x))
    compiled(np.eye(3))
    report = compiled.report()
    assert sum(report.python.values()) == 2 and any("eigh" in name for name in report.python)
    assert "run in Python" in str(report) and "(2)" in str(report)


def test_steps_of_a_loop_count_as_often_as_they_run():
    def f(x):
        return ad.scan(lambda c, t: (ad.sin(c) + t, ad.sum(c)), x, np.linspace(0.0, 1.0, 20))

    compiled = ad.compile(f)
    compiled(array(100))
    report = compiled.report()
    inside = [row for row in report.rows if row.block]
    assert {row.runs for row in inside} == {20}
    assert report.bytes_moved >= 20 * 100 * 8 * 2
    text = str(report)
    assert text.index("body_0:") < text.index("the program:")


def test_steps_of_a_loop_of_unknown_length_are_unknown():
    compiled = ad.compile(lambda x: ad.while_loop(lambda x: ad.max(x) < 9.0, lambda x: x + 1.0, x))
    compiled(array(10))
    assert {row.runs for row in compiled.report().rows if row.block} == {None}
    assert " ? " in str(compiled.report())


def test_a_profile_times_each_line_and_changes_nothing():
    w = ad.tensor(np.ones(2000))

    @ad.compile
    def step(x):
        w[:] = w * 2.0 + ad.sum(ad.exp(x) * ad.sin(x))
        return ad.sum(w)

    x = array(2000)
    step(x)
    before = w.numpy().copy()
    report = step.profile(x, repeat=3)
    np.testing.assert_array_equal(w.numpy(), before)
    assert all(row.seconds is not None and 0 <= row.seconds < 1 for row in report.rows)
    assert sum(row.seconds for row in report.rows) > 0
    assert "µs" in str(report) and "%" in str(report)
    assert step.report() == report
    assert step.traces == 1
    assert float(step(x).numpy()) == pytest.approx(np.sum(before * 2.0 + np.sum(np.exp(x) * np.sin(x))))


def test_a_profile_times_the_steps_of_loops():
    compiled = ad.compile(lambda x: ad.fori_loop(0, 50, lambda i, c: ad.sin(c) * 1.5, x))
    compiled(array(500))
    report = compiled.profile(array(500))
    inside = sum(row.seconds for row in report.rows if row.block)
    assert 0 < inside <= sum(row.seconds for row in report.rows if not row.block)


def test_a_profile_needs_a_program_for_its_arguments():
    compiled = ad.compile(lambda x: x * 2.0 if ad.sum(x) > 0 else x * 3.0)
    compiled(np.ones(3))
    for x in (np.ones(4), -np.ones(3)):
        with pytest.raises(CompileError, match="call the compiled function with them first"):
            compiled.profile(x)
    with pytest.raises(ValueError, match="repeat is 0"):
        compiled.profile(np.ones(3), repeat=0)
    compiled(-np.ones(3))
    assert compiled.profile(-np.ones(3)).rows


def test_the_drawing_shows_nests_and_what_they_hand_on(tmp_path):
    pytest.importorskip("graphviz")

    def f(x, a):
        last, sums = ad.scan(lambda c, t: (ad.sin(a @ c), ad.sum(c) * t), x, np.linspace(0.0, 1.0, 5))
        return {"last": last, "sums": ad.cos(sums)}

    compiled = ad.compile(f)
    compiled(array(4), array(4, 4))
    compiled.draw(tmp_path / "f.dot")
    text = (tmp_path / "f.dot").read_text(encoding="utf-8")
    for wanted in ("result['last']", "result['sums']", "sin", "subgraph cluster_body_0", "f64[4,4]", "scan", "cos"):
        assert wanted in text
    graph = ad.compile(lambda x: ad.sort(ad.exp(x)))
    graph(array(5))
    source = graph.draw().source
    assert "exp" in source and "result" in source and "x\n" in source


def test_before_the_first_call_and_without_a_program_the_error_says_so():
    compiled = ad.compile(lambda x: x * 2.0)
    for ask in (lambda: compiled.source, compiled.report, compiled.draw):
        with pytest.raises(CompileError, match="call the compiled function first"):
            ask()
    compiled(np.ones(2, np.longdouble))
    for ask in (lambda: compiled.source, compiled.report, compiled.draw, lambda: compiled.profile(np.ones(2, np.longdouble))):
        with pytest.raises(CompileError, match="replayed by the prebuilt kernels"):
            ask()
