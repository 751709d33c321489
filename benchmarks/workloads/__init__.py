"""The workloads of `bench_compile.py`, one computation a file."""
