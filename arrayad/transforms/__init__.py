"""The transforms of functions, by mode."""

from arrayad.transforms.forward import jvp, linearize
from arrayad.transforms.recording import trace
from arrayad.transforms.reverse import backward, grad, value_and_grad, vjp
from arrayad.transforms.taylor import jet, taylor

__all__ = ["backward", "grad", "jet", "jvp", "linearize", "taylor", "trace", "value_and_grad", "vjp"]
