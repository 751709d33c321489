"""The C texts that compiled programs share with the prebuilt kernels: the headers in `emitted/`, to be pasted into programs."""

from __future__ import annotations

import functools
import os

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "emitted")


@functools.cache
def ctext(name: str) -> str:
    """The text of a header of `emitted/`.

    **Example**

    >>> "struct arrayad_host {" in ctext("host.h")
    True
    """
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return file.read()
