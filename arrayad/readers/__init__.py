"""The readers of tapes, one in a file.  Those that describe a tape attach themselves to it as methods."""

from arrayad.readers import cost, draw, show
