"""The rows of the table, by family.  Importing a family declares its rows."""

from arrayad.primitives import (
    arithmetic,
    casting,
    comparison,
    complex,
    exponential,
    indexing,
    joining,
    linear_algebra,
    picking,
    reduction,
    rounding,
    scan,
    selection,
    shape,
    sorting,
    special,
    trigonometric,
)
