"""The public functions that are compositions of rows, by family, under the array API's and NumPy's names."""
