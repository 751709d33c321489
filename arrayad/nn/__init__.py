"""Layers and losses of neural networks, in the words of PyTorch.

>>> import arrayad as ad
>>> model = ad.nn.Sequential(ad.nn.Linear(2, 8), ad.nn.Tanh(), ad.nn.Linear(8, 1))
>>> model([[0.5, -0.5]]).shape
(1, 1)
"""

from arrayad.nn import functional
from arrayad.nn.activation import GELU, ReLU, Sigmoid, SiLU, Softmax, Tanh
from arrayad.nn.containers import ModuleList, Sequential
from arrayad.nn.linear import Flatten, Linear
from arrayad.nn.losses import CrossEntropyLoss, MSELoss
from arrayad.nn.module import Module, Parameter, functional_call
from arrayad.nn.normalization import LayerNorm
from arrayad.nn.regularization import Dropout
from arrayad.nn.sparse import Embedding

__all__ = [
    "functional",
    "functional_call",
    "Module",
    "Parameter",
    "ModuleList",
    "Sequential",
    "Linear",
    "Flatten",
    "Embedding",
    "LayerNorm",
    "Dropout",
    "ReLU",
    "Tanh",
    "Sigmoid",
    "GELU",
    "SiLU",
    "Softmax",
    "CrossEntropyLoss",
    "MSELoss",
]
