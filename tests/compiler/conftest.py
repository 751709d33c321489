"""A cache of its own for each test."""

import pytest

from arrayad.compiler import backend
from arrayad.compiler.replaying import Replay
from arrayad.kernels import native


@pytest.fixture
def private_cache(tmp_path, monkeypatch):
    """The folder of a fresh cache."""
    monkeypatch.setenv("ARRAYAD_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("ARRAYAD_CACHE_SIZE", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def replayed(monkeypatch):
    """Programs run by the prebuilt kernels, for tests of what stands before them."""
    monkeypatch.setattr(backend, "BACKEND", Replay)
    monkeypatch.setattr(backend, "DYNAMIC", None)


def pytest_collection_modifyitems(items):
    """Without C kernels nothing can be loaded."""
    if native.why_not_native is not None:
        for item in items:
            if "tests/compiler" in str(item.path):
                item.add_marker(pytest.mark.skip(reason="there are no C kernels"))
