"""Packages that not everybody needs: imported where they are used, with a word on how to get them where they are missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def extra(who: str, module: str, name: str) -> Any:
    """A module of the extra `arrayad[name]`, which `who` asks for.

    **Raises** `ImportError` with the cure where its package is not installed.

    **Example**

    >>> extra("draw", "no_such_package.inner", "draw")
    Traceback (most recent call last):
    ...
    ImportError: [draw] the package no_such_package is needed: pip install "arrayad[draw]"
    """
    try:
        return import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise ImportError(f'[{who}] the package {package} is needed: pip install "arrayad[{name}]"') from None
