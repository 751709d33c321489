"""Revolve's schedule repeats as little as can be, and keeps no more than it may."""

from __future__ import annotations

import math

import pytest

from arrayad.control.schedule import EVERY, Schedule, of_carries, schedule_of


def walked(length: int, schedule: Schedule) -> tuple[int, int, list[tuple[int, int]]]:
    """Steps run again, carries kept at once at most, and the stretches that keep all, from the last to the first.

    The recording holds what it keeps to the end.
    """
    again, most, leaves = 0, 0, []
    recorded = schedule.recorded(length)
    stretches = [(0, length, schedule, 0)]
    whole = True
    while stretches:
        start, stop, here, carry = stretches.pop()
        own = {other for *_, other in stretches} | {carry}
        is_leaf = here.keeps_all(stop - start)
        block = stop - start if is_leaf and not whole and stop - start > 1 else 0
        most = max(most, len(recorded) + len([x for x in own if x not in recorded]) + block)
        if is_leaf:
            leaves.append((start, stop))
            continue
        positions = here.positions(stop - start)
        again += positions[-1]
        stops = [*positions[1:], stop - start]
        for k, (first, last) in enumerate(zip(positions, stops, strict=True)):
            stretches.append((start + first, start + last, here.rest(k), start + first))
        whole = False
    return again, most, leaves


@pytest.mark.parametrize("snapshots", [1, 2, 3, 5, 11])
def test_single_steps_take_the_fewest_repetitions(snapshots: int) -> None:
    """r l - C(s + r, r - 1), for the least r with C(s + r, s) >= l: Griewank & Walther (2000), proposition 1."""
    for length in range(2, 120):
        again, most, leaves = walked(length, Schedule(snapshots, 1))
        repetitions = next(r for r in range(1, length) if math.comb(snapshots + r, snapshots) >= length)
        assert again == repetitions * length - math.comb(snapshots + repetitions, repetitions - 1)
        assert most <= snapshots + 1
        assert leaves == [(i, i + 1) for i in reversed(range(length))]


@pytest.mark.parametrize("checkpoint", ["sqrt", "binomial", 1, 2, 7, 1000, ("binomial", 3), ("binomial", 10)])
@pytest.mark.parametrize("length", [1, 2, 3, 10, 100, 1000])
def test_every_step_is_gone_back_over_once(length: int, checkpoint: object) -> None:
    schedule = schedule_of("scan", checkpoint, length)
    _, most, leaves = walked(length, schedule)
    assert [i for stretch in leaves for i in reversed(range(*stretch))] == list(reversed(range(length)))
    assert all(stop - start <= schedule.block for start, stop in leaves)
    assert most <= schedule.most_kept(length)


def test_what_the_names_mean() -> None:
    assert schedule_of("scan", None, 10**6) == EVERY and len(EVERY.positions(10**6)) == 10**6
    assert walked(10**4, schedule_of("scan", "sqrt", 10**4))[0] < 10**4
    assert schedule_of("scan", "sqrt", 10**4).most_kept(10**4) <= 201
    assert schedule_of("scan", "binomial", 10**5).most_kept(10**5) <= 2 * 17
    assert walked(10**5, schedule_of("scan", "binomial", 10**5))[0] < 4 * 10**5
    assert walked(1000, of_carries(5, 1000))[0] < 9 * 1000
    assert all(count - 1 <= of_carries(count, 10**5).most_kept(10**5) <= count for count in range(3, 200))
    assert len(schedule_of("scan", 4, 100).positions(100)) == 4


@pytest.mark.parametrize("checkpoint", [0, -1, True, "revolve", 2.0, ("binomial", 2), ("sqrt", 4), ("binomial", 9, 9)])
def test_what_is_no_schedule_is_refused(checkpoint: object) -> None:
    with pytest.raises(ValueError, match=r"\[scan\] checkpoint is .*number of snapshots"):
        schedule_of("scan", checkpoint, 10)
