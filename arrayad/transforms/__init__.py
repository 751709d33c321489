"""The transforms of functions, by mode."""

from arrayad.transforms.batching import vmap
from arrayad.transforms.derivatives import elementwise_grad, hessian, hvp, jacfwd, jacobian, jacrev
from arrayad.transforms.forward import jvp, linearize
from arrayad.transforms.recording import trace
from arrayad.transforms.reverse import backward, grad, value_and_grad, vjp
from arrayad.transforms.taylor import jet, taylor

__all__ = [
    "backward",
    "elementwise_grad",
    "grad",
    "hessian",
    "hvp",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jet",
    "jvp",
    "linearize",
    "taylor",
    "trace",
    "value_and_grad",
    "vjp",
    "vmap",
]
