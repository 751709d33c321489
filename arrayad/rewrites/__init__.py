"""The rules that simplify tapes, by family.  Importing a family declares its rules."""

from arrayad.rewrites import (
    collecting,
    copies,
    exponential,
    indexing,
    loops,
    negation,
    powers,
    products,
    programs,
    reductions,
    selection,
    units,
    views,
)
