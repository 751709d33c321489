"""`compile`: a function is traced once, and from then on its tape runs."""

from __future__ import annotations

import functools
import os
import sys
import threading
import types
import warnings
from collections.abc import Callable
from typing import Any

from arrayad import tree
from arrayad.compiler.calling import MISS
from arrayad.compiler.capturing import OutsideError
from arrayad.compiler.describing import measured, program_of, report_of, source_of
from arrayad.compiler.dimensions import Dimensions
from arrayad.compiler.drawing import draw
from arrayad.compiler.exporting import Named, export
from arrayad.compiler.report import Report
from arrayad.compiler.specialising import TRACING, Request, Specialisation, specialised
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
        self.function, self.dynamic, self.background = function, dynamic, background
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

    def __reduce__(self) -> Any:
        """Its copies begin without programs; what a decorator has put into a module is known by its name."""
        name = getattr(self.function, "__qualname__", "")
        found: Any = sys.modules.get(self.__module__)
        for part in name.split("."):
            found = getattr(found, part, None)
        return name if found is self else (type(self), (self.function, self.dynamic, self.background))

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

    # --- the program that was traced last -----------------------------------------------------------------------------

    @property
    def last(self) -> Specialisation:
        """The program that was traced last.

        **Raises** `CompileError` before the first call.
        """
        found = [*self.specialisations[False], *self.specialisations[True]]
        if not found:
            raise CompileError(f"[compile] {self.name} has not been traced; call the compiled function first")
        return max(found, key=lambda made: made.number)

    @property
    def tape(self) -> Tape:
        """The tape of the program that was traced last.

        **Raises** `CompileError` before the first call.
        """
        return self.last.tape

    @property
    def source(self) -> str:
        """The C text of the program that was traced last, with the names of its inputs and outputs at the top.

        **Raises** `CompileError` before the first call, and where there is no program but a replay.
        """
        return source_of(self.name, self.last)

    def report(self) -> Report:
        """What the program that was traced last does: operations before and after fusion, flops, bytes, memory, line by line.

        **Returns** a `Report`, which prints as a table; with the time of each line once `profile` has been called.

        **Raises** `CompileError` before the first call, and where there is no program but a replay.

        **Example**

        >>> import arrayad as ad
        >>> f = ad.compile(ad.grad(lambda x: ad.sum(ad.sin(x) * x)))
        >>> y = f(ad.ones(1000))
        >>> report = f.report()
        >>> report.loops, report.calls, report.bytes_moved, report.arena
        (1, 0, 16000, 0)
        """
        return report_of(self.name, self.last)

    def profile(self, *args: Any, repeat: int = 10, **kwargs: Any) -> Report:
        """Run the program of such a call with a clock at each loop nest, and report the times.

        Nothing outside is changed: what the program makes of parameters and other state is dropped.

        **Parameters** as the function's; `repeat`: in how many calls the time is taken, after one that is not counted.

        **Returns** a `Report` whose rows have `seconds`.

        **Raises** `CompileError` where no program has been made for such arguments yet, or where it is a replay.
        """
        if repeat < 1:
            raise ValueError(f"[profile] repeat is {repeat}; it must be at least 1")
        for found in (*self.specialisations[False], *self.specialisations[True]):
            values = found.values_of(args, kwargs)
            if values is not None and measured(self.name, found, values, repeat):
                return report_of(self.name, found)
        raise CompileError(
            f"[profile] no program of {self.name} is for these arguments; call the compiled function with them first"
        )

    def draw(self, filename: str | os.PathLike[str] | None = None) -> Any:
        """Draw the program that was traced last: loop nests, calls, and the arrays that they hand on.

        **Parameters** `filename`: as for the `draw` of a tape; without it the `graphviz.Digraph` is returned.

        **Raises** `ImportError` without the package graphviz; `CompileError` where `report` does.
        """
        made = self.last
        return draw(made.tape, made.ends.results, program_of(self.name, made).lines, filename)

    def export(self, path: str | os.PathLike[str], *, name: str | None = None, constants: bool | None = None) -> None:
        """Write the program that was traced last as one file of C99 that needs nothing but libm, and its header beside it.

        The header declares `int NAME(const struct NAME_inputs *in, const struct NAME_outputs *out, void *workspace)`, with the
        arguments, the state and the results under their own names, their sizes, the bytes of the workspace, and what a return
        value other than 0 means: a branch that goes another way than when the function was traced, or an index out of range.
        State that the function changes, such as parameters, is an input, and its new value an output, which may be one array.
        No compiler is needed to write the file.

        **Parameters** `path`: the file, whose name ends in .c; `name`: of the function, the file's without it; `constants`: what
        the function uses that is no argument and that it does not change is data of the file: by default NumPy's arrays,
        with True also Tensors, such as weights, and numbers, such as a learning rate, as they are now; with False nothing.

        **Raises** `CompileError` before the first call, and where operations run in Python, by name and line; `ValueError`
        where `path` or `name` cannot be names in C.

        **Example**

        >>> import pathlib, tempfile
        >>> import arrayad as ad
        >>> f = ad.compile(ad.value_and_grad(lambda x: ad.sum(x**3)))
        >>> y = f(ad.ones(4))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     f.export(pathlib.Path(folder, "cubes.c"))
        ...     text = pathlib.Path(folder, "cubes.h").read_text()
        >>> print(text[text.index("struct cubes_inputs") : text.rindex("#ifdef")].strip())
        struct cubes_inputs {
            const double *x; /* f64[4]: x */
        };
        <BLANKLINE>
        struct cubes_outputs {
            double *result_0; /* f64[]: result[0] */
            double *result_1; /* f64[4]: result[1] */
        };
        <BLANKLINE>
        int cubes(const struct cubes_inputs *in, const struct cubes_outputs *out, void *workspace);
        """
        made = self.last
        kinds = {None: ("array",), True: ("array", "scalar", "tensor", "number"), False: ()}[constants]
        export(Named(self.name, made.tape, made.ends.results, made.ends.updates), path, name, made.known(kinds))

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
        leaves = {path for path, _ in (*tree.paths(args, "args"), *tree.paths(kwargs, "kwargs"))}
        for _, _, place in broken:
            if place is not None and place.source in leaves and type(place.value) in (int, float):
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
    traced, `.source` the C text of that program, `.report()`, `.profile(...)` and `.draw(...)` describe it, `.export("f.c")`
    writes it for use without Python; `.wait()` waits for the compiler.

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
