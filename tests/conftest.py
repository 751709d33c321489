"""What every test may ask for, and what must stand before any of them runs."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import warnings
import zlib
from collections.abc import Generator

import hypothesis
import numpy as np
import pytest

os.environ.setdefault("MPLBACKEND", "Agg")

# Where the C kernels are absent arrayad says so when it is imported.  Here that is said by test_installation.py, which fails
# where they could have been built; elsewhere the suite is to run on NumPy alone.
with warnings.catch_warnings():
    warnings.simplefilter("default")
    import arrayad  # noqa: F401

# The same examples in every run, so that a failure is repeated by running the test again.  A call that compiles C has no
# sensible deadline.
hypothesis.settings.register_profile("arrayad", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.load_profile("arrayad")

SEED = pytest.StashKey[list[int]]()
CACHE = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Compiled programs go into one folder for the whole session, which the workers of xdist share, and not into the user's."""
    if not hasattr(config, "workerinput"):
        config.stash[CACHE] = os.environ["ARRAYAD_CACHE_DIR"] = tempfile.mkdtemp(prefix="arrayad-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if CACHE in config.stash:
        shutil.rmtree(config.stash[CACHE], ignore_errors=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=0, help="draw other random inputs: the `rng` of every test depends on it")


def pytest_report_header(config: pytest.Config) -> str:
    return f"random inputs: --seed {config.getoption('--seed')}"


def pytest_collection_finish(session: pytest.Session) -> None:
    """What was collected lives to the end: frozen, it no longer slows the tests that look at all objects."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """NumPy's generator with a seed of the test's own (from its node id and `--seed`), printed if the test fails."""
    seed = [request.config.getoption("--seed"), zlib.crc32(request.node.nodeid.encode())]
    request.node.stash[SEED] = seed
    return np.random.default_rng(seed)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    seed = item.stash.get(SEED, None)
    if seed is not None and report.failed:
        report.sections.append(("random inputs", f"rng = numpy.random.default_rng({seed})"))
    return report
