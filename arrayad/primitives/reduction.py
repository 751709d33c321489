"""Reductions other than the sum."""
