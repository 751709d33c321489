"""Public matrix products and contractions."""

from __future__ import annotations
