"""`compile`: a function is traced once, and from then on its tape runs."""

from __future__ import annotations

import functools
import threading
import types
import warnings
from collections.abc import Callable
from typing import Any

from arrayad import tree
from arrayad.compiler.calling import MISS
from arrayad.compiler.capturing import OutsideError
from arrayad.compiler.dimensions import Dimensions
from arrayad.compiler.specialising import TRACING, Request, Specialisation, specialised
from arrayad.compiler.watching import GIVEN
from arrayad.errors import CompileError, user_stacklevel
from arrayad.modes import MODES, current_mode
from arrayad.tensor import Tensor, is_watched
from arrayad.tracing import Tape

LIMIT = 16
"""How many programs a function may need before it runs uncompiled, and says so; other sizes of named dimensions apart."""

KEPT = 64
"""How many programs are kept, the last ones."""

TOLD = 3
"""After so many traces each further one says why it was made."""


class Compiled:
    """A function that is traced at its first call, and whose tape runs at later ones: what `compile` returns."""

    watched = ("function",)

    def __init__(self, function: Callable[..., Any], dynamic: Any = None, background: bool = False) -> None:
        functools.update_wrapper(self, function, updated=())
        self.function, self.background = function, background
        self.dimensions = Dimensions(dynamic)
        self.specialisations: dict[bool, tuple[Specialisation, ...]] = {False: (), True: ()}
        self.sizes: set[tuple[int, ...]] = set()
        self.varying: set[str] = set()
        self.lock = threading.RLock()
        self.traces = self.explained = 0
        self.is_given_up = self.sees_everything = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        quiet = False
        if MODES:
            mode = current_mode()
            if mode.capture is not None or mode.anomaly or mode.allowance is not None:
                return self.function(*args, **kwargs)
            quiet = mode.quiet
        for found in self.specialisations[quiet]:
            result = found.call(args, kwargs)
            if result is not MISS:
                return result
        return self.missed(args, kwargs, quiet)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __getattr__(self, name: str) -> Any:
        if name in ("function", "__wrapped__"):
            raise AttributeError(name)
        return getattr(self.function, name)

    def __repr__(self) -> str:
        count = sum(map(len, self.specialisations.values()))
        return f"<compiled {self.name}: {count} program{'' if count == 1 else 's'}>"

    @property
    def name(self) -> str:
        """What the function is called in messages."""
        return getattr(self.function, "__name__", type(self.function).__name__)

    @property
    def tape(self) -> Tape:
        """The tape of the program that was traced last.

        **Raises** `CompileError` before the first call.
        """
        found = [*self.specialisations[False], *self.specialisations[True]]
        if not found:
            raise CompileError("[compile] nothing has been traced; call the compiled function first")
        return max(found, key=lambda made: made.number).tape

    def wait(self) -> None:
        """Wait until what is compiled in the background is ready."""
        for made in (*self.specialisations[False], *self.specialisations[True]):
            if made.thread is not None:
                made.thread.join()

    # --- a call that no program fits --------------------------------------------------------------------------------

    def missed(self, args: tuple[Any, ...], kwargs: dict[str, Any], quiet: bool) -> Any:
        """Trace the function for this call, or run it as it stands where somebody outside follows what it is given."""
        if self.is_given_up:
            return self.function(*args, **kwargs)
        with self.lock:
            with TRACING:  # in which another thread may have lifted the arguments
                is_outside = any(map(is_followed, tree.leaves((args, kwargs))))
            if is_outside:
                return self.function(*args, **kwargs)
            for found in self.specialisations[quiet]:  # which another thread may have made meanwhile
                result = found.call(args, kwargs)
                if result is not MISS:
                    return result
            why = self.reason(args, kwargs, quiet)
            expected = self.is_other_size(args, kwargs)
            if not expected and self.traces - self.explained >= LIMIT:
                return self.give_up(args, kwargs, why)
            try:
                made, result = self.specialise(args, kwargs)
            except OutsideError:
                return self.function(*args, **kwargs)
            if made.writer.capture.has_unreached and not self.sees_everything:
                self.sees_everything = True  # the next trace looks for what holds the Tensors that this one has not found
                return result
            made.number = self.traces
            self.specialisations[quiet] = (made, *self.specialisations[quiet])[:KEPT]
            self.traces += 1
            self.explained += expected
            if self.traces - self.explained > TOLD and not expected:
                self.say(f"has been traced {self.traces} times; this time because {why}")
            return result

    def specialise(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Specialisation, Any]:
        """Trace the function; numbers that vary are inputs, unless it needs them as what they are."""
        request = Request(self.function, args, kwargs, self.varying, self.dimensions, self.sees_everything)
        if not self.varying:
            return specialised(request, self.lock, self.background)
        try:
            return specialised(request, self.lock, self.background)
        except OutsideError:
            raise
        except Exception:
            return specialised(request._replace(varying=()), self.lock, self.background)

    def is_other_size(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether the call has other sizes of the named dimensions than any before."""
        sizes = tuple(Request(self.function, args, kwargs, (), self.dimensions).sizes.values())
        is_new = bool(sizes) and sizes not in self.sizes and bool(self.sizes)
        self.sizes.add(sizes)
        return is_new

    def reason(self, args: tuple[Any, ...], kwargs: dict[str, Any], quiet: bool) -> str:
        """Why the program that comes nearest does not fit; numbers among the arguments that differ are noted."""
        found = self.specialisations[quiet]
        if not found:
            return "it had not been called in this mode of recording"
        broken = [made.writer.broken(args, kwargs) for made in found]
        for _, _, place in broken:
            if place is not None and place.source.startswith(GIVEN) and type(place.value) in (int, float):
                self.varying.add(place.source)
        nearest = max(range(len(found)), key=lambda k: broken[k][0])  # the program that fits furthest
        why = broken[nearest][1]
        if why is not None:
            return why
        places = ", ".join(dict.fromkeys(place for _, _, place in found[nearest].tape.guards))
        return f"a branch on a value went another way: {places}"

    def give_up(self, args: tuple[Any, ...], kwargs: dict[str, Any], why: str) -> Any:
        """Say that the function is not compiled any more, and run it as it stands."""
        self.is_given_up = True
        self.say(
            f"has {LIMIT} programs and needs another, because {why}; it runs uncompiled from here on.  Hold in a Tensor what "
            "changes from call to call, and write where, cond, scan or while_loop for what depends on values"
        )
        return self.function(*args, **kwargs)

    def say(self, what: str) -> None:
        warnings.warn(f"[compile] {self.name} {what}", RuntimeWarning, stacklevel=user_stacklevel())


def is_followed(x: Any) -> bool:
    """Whether somebody outside follows an argument, or knows it by its shape alone."""
    return x.__class__ is Tensor and x.history is not None and not is_watched(x)


def compile(f: Callable[..., Any] | None = None, *, dynamic: Any = None, background: bool = False) -> Any:
    """The function that does what `f` does, by a program that is made of its first run.

    `f` is run once for each structure, shapes and dtypes of its arguments, in a trace that records what it does with Tensors;
    from then on the program runs in its place.  Tensors that `f` closes over, such as those of modules, optimisers and
    generators, are inputs of the program, and what `f` does to them, to attributes and to items of containers is done at each
    call.  Python values that `f` has read are compared at each call: where one has changed, `f` is traced again.  So it is where
    a branch on a value goes another way.  What has an effect elsewhere, such as `print`, runs when `f` is traced, and only then.

    **Parameters** `f`: a function of trees of arrays and of anything else, a method, a module; without it, the decorator with
    these options.  `dynamic`: arguments whose sizes vary: a dict from their names to an axis, to axes, or to a dict from axes to
    names, those of one name being of one length; or True for all.  `background`: do not wait for the compiler, but run the trace
    by the prebuilt kernels until it is ready.

    **Returns** a `Compiled`: call it as `f`; `.tape` is the program that was traced last, `.traces` how often `f` has been
    traced, `.wait()` waits for the compiler.

    **Raises** at the call, `CompileError` where `f` asks for a number of a Tensor (`float(x)`, `x.numpy()`), puts Tensors into
    lists that grow, or reads iterators and random numbers of others; the message says what to write.

    **Example**

    >>> import arrayad as ad
    >>> w = ad.tensor(1.0, requires_grad=True)
    >>> optimizer = ad.optim.SGD([w], lr=0.25)
    >>> @ad.compile
    ... def step(x):
    ...     optimizer.zero_grad()
    ...     loss = (w * x) ** 2
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> step(ad.tensor(1.0)), step(ad.tensor(1.0)), w, step.traces
    (Tensor(1.), Tensor(0.25), Tensor(0.25, requires_grad=True), 1)
    """
    if f is None:
        return functools.partial(compile, dynamic=dynamic, background=background)
    if not callable(f):
        raise TypeError(f"[compile] {type(f).__name__} came; a function is needed")
    return f if isinstance(f, Compiled) else Compiled(f, dynamic, background)
