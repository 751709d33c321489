"""The libraries that we compare with, where they are installed; none is a dependency."""

from __future__ import annotations

import importlib
from types import ModuleType


def peer(name: str) -> ModuleType | None:
    """A peer library, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def jax_in_float64() -> ModuleType | None:
    """JAX, told to keep float64, or None where it is not installed."""
    jax = peer("jax")
    if jax is not None:
        jax.config.update("jax_enable_x64", True)
    return jax
