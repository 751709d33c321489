"""The C texts that compiled programs share with the prebuilt kernels: the headers in `emitted/`, to be pasted into programs."""

from __future__ import annotations

import functools
from importlib import resources


@functools.cache
def ctext(name: str) -> str:
    """The text of a header of `emitted/`.

    **Example**

    >>> "struct arrayad_host {" in ctext("host.h")
    True
    """
    return resources.files("arrayad.compiler").joinpath("emitted", name).read_text(encoding="utf-8")
