"""What the benchmarks share."""

from __future__ import annotations

from types import ModuleType

import pytest
from peers import peer


@pytest.fixture(scope="session")
def torch() -> ModuleType:
    found = peer("torch")
    if found is None:
        pytest.skip("torch is not installed")
    return found
