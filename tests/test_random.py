"""Generators: known answers, reproducibility, moments, derivatives through samples, streams that go on."""

from __future__ import annotations

import copy
import itertools
import math
import pickle

import numpy as np
import pytest

import arrayad as ad
from arrayad.kernels import philox
from arrayad.random import Generator, default_rng
from arrayad.readers.replay import replay
from arrayad.shaped import Shaped

N = 100_000


def values(x):
    return np.asarray(x)


# --- the stream --------------------------------------------------------------------------------------------------------


def test_samples_are_made_of_the_known_words_of_philox():
    """The first block of the key (0, 0), from the authors' known-answer file."""
    rng = Generator(ad.tensor([0, 0], "uint32"), ad.tensor(0, "uint64"))
    words = np.array([0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8], np.uint32)
    np.testing.assert_array_equal(rng.random(4, np.float32), (words >> 8).astype(np.float32) * np.float32(2.0**-24))
    assert rng.counter.item() == 1


def test_draws_continue_one_stream_block_by_block():
    rng, key = default_rng(7), philox.seed_to_key(7)
    for size, blocks, start in ((3, 2, 0), (1, 1, 2), ((2, 2), 2, 3)):
        bits = philox.philox4x32(key, start, blocks)
        count = math.prod(size) if isinstance(size, tuple) else size
        np.testing.assert_array_equal(values(rng.random(size)).ravel(), philox.uniform(bits[: 2 * count]))
    assert rng.counter.item() == 5


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda rng: pickle.loads(pickle.dumps(rng))])
def test_a_copy_continues_the_stream_alone(copied):
    rng = default_rng(1)
    rng.normal(size=3)
    other = copied(rng)
    np.testing.assert_array_equal(other.normal(size=5), rng.normal(size=5))
    other.random()
    assert other.counter.item() == rng.counter.item() + 1


def test_the_same_seed_gives_the_same_and_another_seed_others():
    assert default_rng(3).random().item() == default_rng(3).random().item() != default_rng(4).random().item()
    assert default_rng().random().item() != default_rng().random().item()


def test_streams_split_off_differ_from_each_other_and_from_later_ones():
    rng = default_rng(0)
    children = [*rng.split(3), *rng.spawn(2), rng]
    assert len({tuple(values(child.random(4))) for child in children}) == 6


def test_the_shared_generator_starts_anew():
    ad.random.manual_seed(5)
    first = ad.nn.Linear(3, 2).weight.numpy()
    assert ad.random.manual_seed(5) is ad.random.SHARED
    np.testing.assert_array_equal(ad.nn.Linear(3, 2).weight.numpy(), first)


# --- distributions -----------------------------------------------------------------------------------------------------


def near(found, wanted, deviation):
    """Within five standard errors of a mean of N."""
    assert abs(np.mean(found) - wanted) < 5 * deviation / math.sqrt(N)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_moments_of_real_samples(dtype):
    u = values(default_rng(0).random(N, dtype))
    assert u.dtype == dtype and u.min() >= 0 and u.max() < 1
    near(u, 1 / 2, math.sqrt(1 / 12))
    near(u**2, 1 / 3, math.sqrt(4 / 45))
    z = values(default_rng(1).standard_normal(N, dtype)).astype(np.float64)
    for power, moment, deviation in ((1, 0, 1), (2, 1, math.sqrt(2)), (3, 0, math.sqrt(15)), (4, 3, math.sqrt(96))):
        near(z**power, moment, deviation)
    x = values(default_rng(2).uniform(-3, 5, N, dtype))
    near(x, 1, 8 * math.sqrt(1 / 12))
    y = values(default_rng(3).normal(2, 3, N, dtype))
    assert y.dtype == dtype
    near(y, 2, 3)


def test_integers_cover_their_range_evenly():
    x = values(default_rng(0).integers(-2, 4, N))
    assert x.dtype == np.int64
    for value in range(-2, 4):
        near(x == value, 1 / 6, math.sqrt(5 / 36))
    assert set(values(default_rng(0).integers(2, size=100)).tolist()) == {0, 1}
    assert set(values(default_rng(0).integers(1, 2, size=100, endpoint=True)).tolist()) == {1, 2}
    assert default_rng(0).integers(0, 255, 5, "uint8", endpoint=True).dtype == np.uint8


@pytest.mark.parametrize("arguments", [(0,), (3, 3), (5, 2), (0, 257, 3, "uint8"), (-1, 3, 3, "uint8"), (0, 2**64)])
def test_ranges_without_integers_are_refused(arguments):
    with pytest.raises(ValueError, match=r"\[integers\] the range is"):
        default_rng(0).integers(*arguments)


def test_bernoulli_and_categorical_have_their_probabilities():
    x = default_rng(0).bernoulli(0.3, N)
    assert x.dtype == np.bool_
    near(values(x), 0.3, math.sqrt(0.21))
    assert not values(default_rng(0).bernoulli(0.0, 100)).any() and values(default_rng(0).bernoulli(1.0, 100)).all()
    assert default_rng(0).bernoulli([0.5, 0.1]).shape == (2,)
    p = np.array([0.2, 0.0, 0.5, 0.3])
    with np.errstate(divide="ignore"):
        drawn = values(default_rng(0).categorical(np.log(p), N))
    for k, share in enumerate(p):
        near(drawn == k, share, math.sqrt(share * (1 - share)) + 1e-9)
    assert default_rng(0).categorical(np.zeros((2, 3, 4)), axis=1).shape == (2, 4)
    assert default_rng(0).categorical(np.zeros((3, 4)), (5, 3)).shape == (5, 3)


def test_permutations_are_permutations_and_all_occur():
    rng = default_rng(0)
    assert {tuple(values(rng.permutation(3)).tolist()) for _ in range(60)} == set(itertools.permutations(range(3)))
    x = np.arange(12.0).reshape(3, 4)
    y = values(default_rng(1).permutation(x, axis=1))
    np.testing.assert_array_equal(np.sort(y, axis=1), x)
    np.testing.assert_array_equal(y - y[:1], x - x[:1])
    assert values(rng.shuffle([1, 2, 3])).sum() == 6


def test_choice_with_and_without_weights():
    p = np.array([0.1, 0.0, 0.9])
    near(values(default_rng(0).choice(3, N, p=p)) == 0, 0.1, 0.3)
    assert default_rng(0).choice([5, 6]).item() in (5, 6)
    both = [tuple(values(rng.choice(3, 2, replace=False, p=p))) for rng in default_rng(0).split(200)]
    assert set(both) == {(0, 2), (2, 0)} and 5 <= both.count((0, 2)) <= 40
    assert sorted(values(default_rng(0).choice(5, 5, replace=False))) == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="too few"):
        default_rng(0).choice(3, 4, replace=False)
    with pytest.raises(ValueError, match="which are fewer"):
        default_rng(0).choice(3, 3, replace=False, p=p)


# --- in programs -------------------------------------------------------------------------------------------------------


def test_samples_are_differentiable_in_their_parameters():
    z = values(default_rng(0).standard_normal(4))
    loc, scale = np.arange(4.0), np.arange(1.0, 5.0)
    by_loc, by_scale = ad.grad(lambda a, b: ad.sum(default_rng(0).normal(a, b) ** 2), argnums=(0, 1))(loc, scale)
    np.testing.assert_allclose(by_loc, 2 * (loc + scale * z), rtol=1e-14)
    np.testing.assert_allclose(by_scale, 2 * (loc + scale * z) * z, rtol=1e-14)
    u = values(default_rng(0).random(3))
    by_high = ad.grad(lambda b: ad.sum(default_rng(0).uniform(0.0, b, 3)))(2.0)
    np.testing.assert_allclose(by_high, u.sum(), rtol=1e-15)


def test_a_generator_that_is_an_argument_draws_anew_when_replayed():
    def program(x, rng):
        return x + rng.normal(size=3), rng

    tape = ad.trace(program)(Shaped((3,), "float64"), default_rng(0))
    for seed in (0, 1):
        rng = default_rng(seed)
        y, after = replay(tape, np.ones(3), rng.key, rng.counter)
        np.testing.assert_array_equal(y, 1 + values(default_rng(seed).normal(size=3)))
        assert after.counter.item() == 2


def test_dtypes_follow_floating_point_parameters():
    assert default_rng(0).normal(ad.zeros(2, "float32")).dtype == np.float32
    assert default_rng(0).normal(np.zeros(2, int)).dtype == np.float64
    assert default_rng(0).normal(ad.zeros(2, "float64"), dtype="float32").dtype == np.float32


@pytest.mark.parametrize(
    "draw, kind, message",
    [
        (lambda rng: rng.random(3, "float16"), ad.errors.DTypeError, "float32 or float64"),
        (lambda rng: rng.normal(np.zeros(3), 1.0, 2), ad.errors.ShapeError, "does not broadcast"),
        (lambda rng: rng.normal(np.zeros(3), np.ones(2)), ad.errors.ShapeError, "do not broadcast"),
        (lambda rng: rng.random(-1), ad.errors.ShapeError, "negative"),
        (lambda rng: rng.bernoulli(1.5), ValueError, "probability"),
        (lambda rng: rng.choice(3, p=[1.0, 2.0]), ad.errors.ShapeError, "one weight for each"),
        (lambda rng: default_rng(-1), ValueError, "seed"),
    ],
)
def test_what_makes_no_sense_is_refused(draw, kind, message):
    with pytest.raises(kind, match=message):
        draw(default_rng(0))
