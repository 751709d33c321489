"""The rules that simplify tapes, by family.  Importing a family declares its rules."""

from arrayad.rewrites import (
    copies,
    indexing,
    loops,
    negation,
    reductions,
    selection,
    units,
    views,
)
