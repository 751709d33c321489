"""The rules that simplify tapes, by family.  Importing a family declares its rules."""

from arrayad.rewrites import (
    copies,
    exponential,
    indexing,
    loops,
    negation,
    products,
    programs,
    reductions,
    selection,
    units,
    views,
)
