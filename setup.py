"""Declares the extension of C kernels; everything else is in pyproject.toml."""

from setuptools import setup

setup(cffi_modules=["csrc/build.py:ffi"])
