"""`Module`: a function with parameters, which it finds among its own attributes and those of the modules in it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.errors import DTypeError, ShapeError, describe
from arrayad.functions.creation import asarray, tensor
from arrayad.modes import no_grad
from arrayad.tensor import Tensor, freeze, rebind


def Parameter(data: Any, dtype: Any = None) -> Tensor:
    """A Tensor that requires grad: assigned to a module's attribute, it is one of its parameters."""
    return tensor(data, dtype, requires_grad=True)


class Module:
    """What layers and networks derive from: `__init__` assigns parameters and modules to attributes, `forward` computes.

    An attribute that was once a Tensor that requires grad is a parameter; one that is a Module is found with all that it
    holds; both in the order in which they were assigned.  `register_buffer` names Tensors that belong to the state but
    are not trained.

    A module is a tree of its parameters: `grad(loss)(model, x)` gives a module of the same kind that holds the gradients.

    **Example**

    >>> import arrayad as ad
    >>> class Scale(ad.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = ad.nn.Parameter(2.0)
    ...     def forward(self, x):
    ...         return self.factor * x
    >>> model = Scale()
    >>> model(3.0), dict(model.named_parameters())
    (Tensor(6., by=multiply), {'factor': Tensor(2., requires_grad=True)})
    """

    unwatched = ("parameter_names", "buffer_names")
    """Attributes that follow from others, which a compiled function does not ask about."""

    training: bool
    parameter_names: dict[str, None]
    buffer_names: dict[str, None]

    def __init__(self) -> None:
        self.__dict__.update(training=True, parameter_names={}, buffer_names={})

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        tree.register(cls, parts_of, assembled)

    def __setattr__(self, name: str, value: Any) -> None:
        if "parameter_names" not in self.__dict__:
            raise TypeError(f"[{type(self).__name__}] call super().__init__() before {name} is assigned")
        if isinstance(value, list | tuple | dict) and any(isinstance(x, Module) for x in elements(value)):
            raise TypeError(
                f"[{type(self).__name__}] {name} is a {type(value).__name__} of modules, whose parameters would not be found; "
                "use ModuleList or Sequential"
            )
        if isinstance(value, Tensor) and value.is_leaf and value.requires_grad:
            self.parameter_names[name] = None
        elif not isinstance(value, Tensor):
            self.parameter_names.pop(name, None)
        self.__dict__[name] = value

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        self.parameter_names.pop(name, None)
        self.buffer_names.pop(name, None)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes."""
        raise TypeError(f"[{type(self).__name__}] this module has no forward; define it")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    # --- what it holds --------------------------------------------------------------------------------------------

    def register_buffer(self, name: str, value: Any) -> None:
        """Assign a Tensor that belongs to the state but is not trained."""
        setattr(self, name, asarray(value))
        self.buffer_names[name] = None

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of the modules among the attributes, in order."""
        return ((name, value) for name, value in self.__dict__.items() if isinstance(value, Module))

    def children(self) -> Iterator[Module]:
        """The modules among the attributes, in order."""
        return (module for _, module in self.named_children())

    def named_modules(self, prefix: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, Module]]:
        """(dotted name, module) of this module, whose name is empty, and of all in it, each once."""
        seen = set() if seen is None else seen
        if id(self) not in seen:
            seen.add(id(self))
            yield prefix, self
            for name, module in self.named_children():
                yield from module.named_modules(f"{prefix}.{name}" if prefix else name, seen)

    def modules(self) -> Iterator[Module]:
        """This module and all in it, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """(dotted name, Tensor) of the parameters of this module and all in it; one that is shared comes once."""
        seen: set[int] = set()
        for name, value in self.named_tensors(lambda module: module.parameter_names):
            if id(value) not in seen:
                seen.add(id(value))
                yield name, value

    def parameters(self) -> Iterator[Tensor]:
        """The parameters of this module and all in it; one that is shared comes once."""
        return (value for _, value in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """(dotted name, Tensor) of the buffers of this module and all in it."""
        return self.named_tensors(lambda module: module.buffer_names)

    def named_tensors(self, names_of: Callable[[Module], Any]) -> Iterator[tuple[str, Tensor]]:
        """The attributes that are named so in each module."""
        for prefix, module in self.named_modules():
            for name in names_of(module):
                yield f"{prefix}.{name}" if prefix else name, getattr(module, name)

    # --- the state ------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Tensor]:
        """Parameters and buffers by name, as they are."""
        return {**dict(self.named_tensors(lambda module: module.parameter_names)), **dict(self.named_buffers())}

    def state_dict(self) -> dict[str, Tensor]:
        """The values of parameters and buffers by name: a snapshot, since values never change."""
        return {name: value.detach() for name, value in self.state().items()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> None:
        """Give parameters and buffers these values, Tensors or arrays, in the dtype that each has.

        Nothing is changed unless everything fits.

        **Raises** `KeyError` where names are missing or unknown, unless `strict` is False; `ShapeError` for another shape.
        """
        own = self.state()
        missing, unknown = sorted(own.keys() - state_dict.keys()), sorted(state_dict.keys() - own.keys())
        if strict and (missing or unknown):
            came = [f"{word}: {', '.join(names)}" for word, names in (("missing", missing), ("unknown", unknown)) if names]
            raise KeyError(f"[load_state_dict] names differ ({'; '.join(came)}); pass strict=False to load what fits")
        values = {name: asarray(state_dict[name], own[name].dtype).detach() for name in own if name in state_dict}
        for name, value in values.items():
            if value.shape != own[name].shape:
                raise ShapeError(f"[load_state_dict] {name} is {describe(value)}, the module's {describe(own[name])}")
        with no_grad():
            for name, value in values.items():
                rebind(own[name], value, "load_state_dict")

    def train(self, mode: bool = True) -> Any:
        """Switch this module and all in it to training, which dropout asks; returns the module."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Any:
        """Switch this module and all in it to evaluation; returns the module."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def requires_grad_(self, flag: bool = True) -> Any:
        """Watch all parameters, or freeze them; returns the module."""
        for parameter in self.parameters():
            parameter.requires_grad = flag
        return self

    def to(self, dtype: Any) -> Any:
        """Convert all parameters and floating-point buffers, in place, and forget their gradients; returns the module."""
        if np.dtype(dtype).kind != "f":
            raise DTypeError(f"[to] dtype is {np.dtype(dtype)}; a floating-point dtype is needed")
        for value in self.state().values():
            if value.dtype.kind == "f":
                value.grad = None
                value.value = freeze(np.asarray(value.value, dtype))
        return self

    # --- how it looks ---------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What stands between the parentheses of its repr, for a module with parameters of its own."""
        return ""

    def __repr__(self) -> str:
        lines = [self.extra_repr()] if self.extra_repr() else []
        lines += [f"({name}): " + repr(module).replace("\n", "\n  ") for name, module in self.named_children()]
        if len(lines) > 1 or any(True for _ in self.children()):
            return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"
        return f"{type(self).__name__}({''.join(lines)})"


def elements(container: Any) -> Iterator[Any]:
    """The elements of a list or tuple, the values of a dict."""
    return iter(container.values() if isinstance(container, dict) else container)


# --- a module as a tree, and with other parameters ---------------------------------------------------------------------


class Skeleton:
    """A module but for its parameters: the key of its only child, the dict of them, in a tree."""

    __slots__ = ("module",)

    def __init__(self, module: Module) -> None:
        self.module = module

    def __repr__(self) -> str:
        return type(self.module).__name__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Skeleton) and (
            self.module is other.module or (type(self.module) is type(other.module) and repr(self.module) == repr(other.module))
        )

    def __hash__(self) -> int:
        return hash(type(self.module))


def parts_of(module: Module) -> tuple[list[Any], tuple[Any, ...]]:
    """How a tree takes a module apart."""
    return [dict(module.named_parameters())], (Skeleton(module),)


def assembled(keys: tuple[Any, ...], parts: list[Any]) -> Module:
    """How a tree puts a module together."""
    return with_parameters(keys[0].module, parts[0])


def with_parameters(module: Module, parameters: Mapping[str, Any]) -> Module:
    """A copy of the module with these parameters, by their dotted names, in the place of its own; it shares the others.

    **Raises** `KeyError` for a name that is no parameter.
    """
    own = dict(module.named_parameters())
    unknown = sorted(parameters.keys() - own.keys())
    if unknown:
        raise KeyError(f"[{type(module).__name__}] there is no parameter {', '.join(unknown)}; there are {', '.join(own)}")
    return replaced(module, {id(own[name]): value for name, value in parameters.items()}, {})


def replaced(module: Module, values: dict[int, Any], copies: dict[int, Module]) -> Module:
    """A copy of the module and of those in it, with other attributes where an attribute's id is among the values."""
    if id(module) not in copies:
        made = copies[id(module)] = copy.copy(module)
        made.__dict__.update(parameter_names=dict(module.parameter_names), buffer_names=dict(module.buffer_names))
        for name in module.parameter_names:
            value = getattr(module, name)
            made.__dict__[name] = values.get(id(value), value)
        for name, child in module.named_children():
            made.__dict__[name] = replaced(child, values, copies)
    return copies[id(module)]


def functional_call(module: Module, parameters: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
    """What the module computes of `args` with other parameters, given by their dotted names; it stays as it is.

    **Raises** `KeyError` for a name that is no parameter.

    **Example**

    >>> import arrayad as ad
    >>> layer = ad.nn.Linear(2, 1, bias=False)
    >>> ad.grad(lambda w: ad.nn.functional_call(layer, {"weight": w}, [[1.0, 2.0]]).sum())(ad.zeros((1, 2)))
    Tensor([[1., 2.]])
    """
    return with_parameters(module, parameters)(*args, **kwargs)
