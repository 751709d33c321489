"""How rows are lowered: to views, C expressions, folds and calls.  A module for each family of rows.

A rule is `rule(builder, entry, *operands, **params)`; operands are Reads, or Python numbers where the row takes weak ones.
It returns a Read, a list of them for several results, or None where only the row's own kernel knows how.
"""

from arrayad.compiler.rules import (
    control,
    dense,
    elementwise,
    folds,
    joining,
    order,
    products,
    random_bits,
    reading,
    scans,
    shape,
    writing,
)
