"""The version of arrayad: the one place where it is written."""

__version__ = "0.1.0"
