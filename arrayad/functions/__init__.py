"""The public functions that are compositions of rows, by family, under the array API's and NumPy's names."""

from arrayad.functions import (
    creation,
    decompositions,
    einsum,
    elementwise,
    indexing,
    linear_algebra,
    linear_systems,
    reduction,
    scan,
    shape,
    sorting,
)
