"""Modules that hold modules: one after the other, and in a list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from arrayad.nn.module import Module


class ModuleList(Module):
    """A list of modules, whose parameters are found; their names are their positions."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        for module in modules:
            self.append(module)

    def append(self, module: Module) -> ModuleList:
        """Add a module to the end; returns the list."""
        if not isinstance(module, Module):
            raise TypeError(
                f"[{type(self).__name__}] {type(module).__name__} came, a module is needed; functions go into forward"
            )
        setattr(self, str(len(self)), module)
        return self

    def __len__(self) -> int:
        return sum(1 for _ in self.children())

    def __iter__(self) -> Iterator[Module]:
        return self.children()

    def __getitem__(self, index: Any) -> Any:
        chosen = list(self.children())[index]
        return chosen if isinstance(chosen, Module) else type(self).of(chosen)

    @classmethod
    def of(cls, modules: list[Module]) -> ModuleList:
        """The container of these modules."""
        return cls(modules)


class Sequential(ModuleList):
    """Modules one after the other, each applied to what the one before gave.

    **Example**

    >>> import arrayad as ad
    >>> ad.nn.Sequential(ad.nn.Linear(2, 3), ad.nn.ReLU())
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): ReLU()
    )
    """

    def __init__(self, *modules: Module) -> None:
        super().__init__(modules)

    @classmethod
    def of(cls, modules: list[Module]) -> Sequential:
        return cls(*modules)

    def forward(self, x: Any) -> Any:
        for module in self.children():
            x = module(x)
        return x
