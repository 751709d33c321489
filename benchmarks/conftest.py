"""What the benchmarks share: peers where they are installed, one thread where a comparison asks for it."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest


def peer(name: str) -> ModuleType | None:
    """A peer library, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


@pytest.fixture(scope="session")
def torch() -> ModuleType:
    found = peer("torch")
    if found is None:
        pytest.skip("torch is not installed")
    return found
