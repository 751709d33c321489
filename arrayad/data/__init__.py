"""Data on its way to training: splitting and batching."""

from arrayad.data.batching import Batches
from arrayad.data.splitting import stratified_split

__all__ = ["Batches", "stratified_split"]
