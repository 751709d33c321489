"""The user's lines in messages."""

from __future__ import annotations

import linecache
import traceback

from arrayad.errors import PACKAGE


def line_of(location: str) -> str:
    """A location with what stands there, as far as the source is at hand."""
    file, _, number = location.rpartition(":")
    text = linecache.getline(file, int(number)).strip() if number.isdigit() else ""
    return f"{location}: {text}" if text else location or "an unknown line"


def users_line(error: BaseException) -> str:
    """The innermost line outside this package that an error has passed."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(PACKAGE)]
    return line_of(f"{frames[-1].filename}:{frames[-1].lineno}") if frames else "an unknown line"
