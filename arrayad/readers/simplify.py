"""Simplify: a tape of the same outputs with fewer operations, for programs that run many times.

The entries are made anew one after the other, each from operands that are simple already.  An entry whose operands are
constants is computed; one that was made before, with the same row, operands and parameters, is that one; the rules of its row
(`arrayad.rewriting`) may put something else in its place.  What no output or guard needs is left out.  A few passes over the
tape do this, each in linear time.  Programs within the parameters are simplified likewise.

The result is for running: rules take away what only a derivative looks at, such as `stop_gradient`.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from arrayad.elementwise import Elementwise
from arrayad.rewriting import REWRITES, Form, Known, Match, Rewrite, Table, forms_for
from arrayad.shaped import Bundle, Shaped, aval, is_weak
from arrayad.tape import Scope, Trace, Traced, merge, next_serial, recorded
from arrayad.tensor import Tensor, handle
from arrayad.tracing import Tape, aval_of, is_member, traced_input

PASSES = 5
"""How often at most the tape is gone through: rules that look at how often a value is used see what earlier passes left."""

LARGEST = 1_000_000
"""Elements of a constant beyond which an operation that makes it of smaller ones stays on the tape."""

SHORT = 256
"""Bytes of a constant up to which it is known by its elements; longer ones are known by the array that holds them."""

COMPARED = 1 << 16
"""Elements up to which a constant is searched for another than its first."""


def simplify(tape: Tape, *, exact: bool = True, reorder: bool = False) -> Tape:
    """A tape of the same inputs, outputs and guards with fewer and simpler operations.

    The outputs are the same to the bit, signed zeros, nan and infinity included, as far as the kernels of the rows give views and
    copies of one array the same bits.

    **Parameters** `tape`: of any function, also by shapes; `exact`: whether only rules apply that keep the value; without, also
    those that hold for real numbers where both sides are defined, but not to the last digit, such as exp(log(x)) = x;
    `reorder`: whether sums may be added in another order, in loops above all, which changes their rounding.

    **Returns** a tape for running, by `replay` or compiled: a derivative of it may miss what `stop_gradient`, or a rule of the
    user's, said.

    **Example**

    >>> import arrayad as ad
    >>> print(simplify(ad.trace(ad.grad(lambda x: ad.sin(x) ** 2))(0.5)).show())
    w0 = x                f64[]  0.5
    w1 = sin(w0)          f64[]  0.479426
    w2 = 2 · w1           f64[]  0.958851
    w3 = cos(w0)          f64[]  0.877583
    w4 = w2 · w3          f64[]  0.841471
    """
    programs: dict[int, Any] = {}
    return simplified(tape, Rules(exact, reorder), programs)


class Rules:
    """The rules that are allowed, by row, and how often each was tried and did apply.

    With `keeps` what only a derivative looks at stays: `stop_gradient`, rules of the user's.  `tables` hold the rules, those that
    are tried first in front.  The tape is gone through `passes` times at most, and constants of up to `short` bytes are known by
    their elements.
    """

    passes = PASSES
    short = SHORT

    def __init__(
        self,
        exact: bool = True,
        reorder: bool = False,
        keeps: bool = False,
        tables: Sequence[Table] = (REWRITES,),
    ) -> None:
        self.exact = exact
        self.reorder = reorder
        self.keeps = keeps
        self.tables = tables
        self.rows: dict[Any, list[Form]] = {}
        self.fitting: dict[Any, list[Form]] = {}
        self.applied: Counter[Rewrite] = Counter()
        self.visits = 0
        self.wishes: dict[Any, list[Any]] = {}

    def of(self, row: Any, makers: tuple[Any, ...]) -> list[Form]:
        """The patterns, of rules that are allowed, that a row's operation may fit on operands that these rows have made."""
        key = (row, makers)
        if key not in self.fitting:
            if row not in self.rows:
                self.rows[row] = [form for form in forms_for(row, self.tables) if self.allows(form.rule)]
            self.fitting[key] = [form for form in self.rows[row] if form.may_fit(makers)]
        return self.fitting[key]

    def allows(self, rule: Rewrite) -> bool:
        """Whether a rule may be applied."""
        return (rule.exact or not self.exact) and (self.reorder or not rule.reorders) and not (self.keeps and rule.forgets)


def simplified(tape: Tape, rules: Rules, programs: dict[int, Any]) -> Tape:
    """The tape after as many passes as change it."""
    for _ in range(rules.passes):
        graph = Graph(tape, rules, programs)
        before, tape = tape, graph.tape
        if not graph.changed and len(tape) == len(before):
            break
    return tape


class Graph:
    """A tape that is being made of another: its expressions, each made once.

    An expression is a Tensor with an entry of the new tape, a constant, or a Bundle of these.
    """

    def __init__(self, tape: Tape, rules: Rules, programs: dict[int, Any]) -> None:
        self.rules = rules
        self.programs = programs
        self.trace = Trace()
        self.scopes = frozenset[Scope]((self.trace,))
        self.made: dict[Any, Any] = {}
        self.uniforms: dict[int, Any] = {}
        self.values: dict[Any, Any] = {}
        self.kept: list[Any] = []
        self.notes: dict[Any, Any] = {}  # what rules have found out about expressions
        self.changed = False
        self.location = ""
        self.uses: Counter[Any] = Counter()
        self.consumers: dict[Any, list[Any]] = {}
        self.old_uses = uses_of(tape)
        for entry in tape.entries:
            for x in entry.inputs:
                if x.__class__ is Tensor and x.value.__class__ is Bundle and is_member(x, tape):
                    self.consumers.setdefault(x.history, []).append(entry)
        try:
            self.tape = self.rebuilt(tape)
        finally:
            self.trace.open = False
            self.trace.guards = []

    def rebuilt(self, tape: Tape) -> Tape:
        """The new tape."""
        self.inputs = inputs = [traced_input(entry.output, self.trace) for entry in tape.inputs]
        for entry, x in zip(tape.inputs, inputs, strict=True):
            self.values[entry] = x
            self.uses[x.history] = self.old_uses[entry]
        for entry in tape.entries:
            self.location = entry.location
            operands = [self.value_of(x, tape) for x in entry.inputs]
            self.values[entry] = y = self.make(entry.primitive, operands, entry.params, entry.output, entry)
            if y.__class__ is Tensor and y.history is not None:
                self.uses[y.history] += self.old_uses[entry]
        outputs = [self.output(y, tape) for y in tape.outputs]
        self.trace.guards = [(self.output(x, tape), truth, location) for x, truth, location in tape.guards]
        return Tape([x.history for x in inputs], outputs, tape.structure, self.trace, tape.values, tape.names)

    def value_of(self, x: Any, tape: Tape) -> Any:
        """The expression for an operand of the old tape."""
        return self.values[x.history] if is_member(x, tape) else x

    def output(self, y: Any, tape: Tape) -> Any:
        """An output or the operand of a guard, as a handle of its own."""
        found = self.value_of(y, tape)
        return handle(found.value, found.history) if found.__class__ is Tensor else found

    # --- making expressions -------------------------------------------------------------------------------------------

    def make(self, row: Any, operands: Sequence[Any], params: dict[str, Any], output: Any = None, root: Any = None) -> Any:
        """The expression of a row's operation on some expressions."""
        inputs = tuple(operands)
        params = self.with_simple_programs(params)
        key = None if has_effects(row, params) else (row, tuple(map(self.key_of, inputs)), frozen(params))
        if key in self.made:
            self.changed = self.changed or root is not None
            return self.made[key]
        if output is None:
            output = row.shape(*map(aval_of, inputs), **params)
        if not self.rules.keeps and row.inline is not None:
            tape = row.inline(*map(aval_of, inputs), **params)
            if tape is not None:
                self.changed = True
                return Bundle(self.inlined(tape, inputs))
        found = None if key is None else self.computed(row, inputs, params, output)
        if found is None:
            found = self.replaced(row, inputs, params, output, root)
        else:
            self.changed = True
        if found is None:
            found = handle(output, self.entry(row, inputs, params, output))
        if key is not None:
            self.made[key] = found
        return found

    def replaced(self, row: Any, inputs: tuple[Any, ...], params: dict[str, Any], output: Any, root: Any) -> Any:
        """What a rule puts in the place of an expression, None if no rule applies."""
        for form in self.rules.of(row, tuple(map(self.maker, inputs))):
            self.rules.visits += 1
            found = form.applied(Match(self, row, inputs, params, output, root))
            if found is not None and is_like(found, output):
                self.rules.applied[form.rule] += 1
                self.changed = True
                return found
        return None

    def maker(self, x: Any) -> Any:
        """The row that made an operand; `Known` if all elements are one known number."""
        entry = self.producer(x)
        return entry.primitive if entry is not None else Known if self.uniform(x) is not None else None

    def computed(self, row: Any, inputs: tuple[Any, ...], params: dict[str, Any], output: Any) -> Any:
        """The value of an operation on constants; None where an operand is none, or the value would take much memory."""
        if not all(map(is_constant, inputs)) or (output.__class__ is Shaped and output.dtype.kind == "O"):
            return None
        values = [x.value if x.__class__ is Tensor else x for x in inputs]
        with np.errstate(all="ignore"):
            if isinstance(row, Elementwise) and output.size and all(is_repeated(value) for value in values):
                numbers = [value if is_weak(value) else value[(0,) * value.ndim] for value in values]
                return constant(np.broadcast_to(row.compute(*map(as_array, numbers), **params), output.shape))
            if not row.is_view and output.size > max(LARGEST, sum(stored_size(value) for value in values)):
                return None
            try:
                result = row.compute(*values, **params)
            except (ValueError, ArithmeticError):  # as it will when the program runs
                return None
        return Bundle(map(constant, result)) if result.__class__ is Bundle else constant(result)

    def entry(self, row: Any, inputs: tuple[Any, ...], params: dict[str, Any], output: Any) -> Traced:
        """A new entry of the tape."""
        entry = Traced()
        entry.serial = next_serial()
        entry.primitive = row
        entry.params = params
        entry.inputs = inputs
        entry.output = output
        entry.location = self.location
        entry.trace = self.trace
        entry.parents = tuple(recorded(x.history) if x.__class__ is Tensor else None for x in inputs)
        entry.scopes = merge([self.scopes, *(parent.scopes for parent in entry.parents if parent is not None)])
        entry.avals = tuple(map(aval_of, inputs))
        entry.residuals = None
        return entry

    def inlined(self, tape: Tape, operands: Sequence[Any]) -> list[Any]:
        """The expressions for the outputs of another tape."""
        values: dict[Any, Any] = dict(zip(tape.inputs, operands, strict=True))

        def value_of(x: Any) -> Any:
            return values[x.history] if is_member(x, tape) else x

        for entry in tape.entries:
            values[entry] = self.make(entry.primitive, [value_of(x) for x in entry.inputs], entry.params, entry.output)
        return [y if y.__class__ is Tensor or y.__class__ is Bundle else constant(y) for y in map(value_of, tape.outputs)]

    def with_simple_programs(self, params: dict[str, Any]) -> dict[str, Any]:
        """The parameters with programs that are simplified."""
        if not any(is_program(value) or value.__class__ is tuple for value in params.values()):
            return params
        return {
            name: self.simple(value)
            if is_program(value)
            else tuple(map(self.simple, value))
            if value.__class__ is tuple and any(map(is_program, value))
            else value
            for name, value in params.items()
        }

    def simple(self, program: Any) -> Any:
        """A program, simplified once."""
        if id(program) not in self.programs:
            found = program.replaced(simplified(program.tape, self.rules, self.programs))
            self.programs[id(program)] = found
            self.programs[id(found)] = found
            self.programs.setdefault(-1, []).append(program)  # whose id must not be given away
        return self.programs[id(program)]

    # --- what rules ask -----------------------------------------------------------------------------------------------

    def constant(self, value: Any) -> Tensor:
        """The expression of an array that nobody else holds."""
        return constant(value)

    def producer(self, x: Any) -> Any:
        """The entry of the new tape that makes an expression, None if there is none."""
        entry = x.history if x.__class__ is Tensor else None
        return entry if entry.__class__ is Traced and entry.trace is self.trace and entry.primitive is not None else None

    def is_alone(self, entry: Any) -> bool:
        """Whether an expression is used in one place alone."""
        return self.uses[entry] <= 1

    def wish(self, entry: Any, part: Any) -> None:
        """Note that an entry should also give a part of what its program computes, when the next pass comes to it."""
        wishes = self.rules.wishes.setdefault(entry, [])
        if part not in wishes:
            wishes.append(part)
            self.changed = True

    def wished(self, entry: Any) -> list[Any]:
        """What the pass before this one has wished of an entry."""
        return self.rules.wishes.get(entry, [])

    def same(self, x: Any, y: Any) -> bool:
        """Whether two expressions are one."""
        return self.key_of(x) == self.key_of(y)

    def key_of(self, x: Any) -> Any:
        """What an operand is known by."""
        if x.__class__ is Tensor:
            if x.history is not None:
                return x.history
            self.kept.append(x)
            return known_by(x.value, self.rules.short)
        if x.__class__ is Bundle:
            return tuple(map(self.key_of, x))
        return known_by(x, self.rules.short)

    def uniform(self, x: Any) -> Any:
        """The number that all elements of a constant are, as a number of Python's or NumPy's; None if there is none."""
        if is_weak(x):
            return x
        if x.__class__ is not Tensor or x.history is not None or x.value.__class__ is Bundle:
            return None
        value = x.value
        if id(value) not in self.uniforms:
            self.kept.append(value)
            self.uniforms[id(value)] = only_number(value)
        return self.uniforms[id(value)]


# --- what is known of values ------------------------------------------------------------------------------------------


def uses_of(tape: Tape) -> Counter[Any]:
    """How often each entry is used, by operations, outputs and guards."""
    uses: Counter[Any] = Counter()
    for x in operands_of(tape):
        if is_member(x, tape):
            uses[x.history] += 1
    return uses


def operands_of(tape: Tape) -> Iterable[Any]:
    """All that is used in a tape."""
    for entry in tape.entries:
        yield from entry.inputs
    yield from tape.outputs
    for x, _, _ in tape.guards:
        yield x


def is_program(value: Any) -> bool:
    """Whether a parameter is a program, which has a tape."""
    return getattr(value, "tape", None).__class__ is Tape


def has_effects(row: Any, params: dict[str, Any]) -> bool:
    """Whether an operation calls what may do more than compute, so that each call counts."""
    if row.calls_back:
        return True
    programs = [value for value in params.values() if is_program(value)]
    programs += [x for value in params.values() if value.__class__ is tuple for x in value if is_program(x)]
    return any(has_effects(entry.primitive, entry.params) for program in programs for entry in program.tape.entries)


def is_constant(x: Any) -> bool:
    """Whether an operand's value is known and nobody follows it."""
    return is_weak(x) or (x.__class__ is Tensor and x.history is None)


def is_like(found: Any, output: Any) -> bool:
    """Whether an expression has the shapes and dtypes of an output."""
    if found.__class__ is Bundle:
        return output.__class__ is Bundle and len(found) == len(output) and all(map(is_like, found, output))
    return found.__class__ is Tensor and aval(found.value) == output


def is_repeated(value: Any) -> bool:
    """Whether an array holds one number and takes no memory for more."""
    return is_weak(value) or (isinstance(value, np.ndarray | np.generic) and value.size > 0 and not any(value.strides))


def as_array(number: Any) -> Any:
    return number if is_weak(number) else np.asarray(number)


def stored_size(value: Any) -> int:
    """The elements that an array keeps in memory."""
    return 1 if is_weak(value) or is_repeated(value) else int(value.size)


def constant(value: Any) -> Tensor:
    """An expression of a value that nobody else holds, or can change; views stay views."""
    value = np.asarray(value)
    value.flags.writeable = False
    return handle(value)


def is_numeric(value: Any) -> bool:
    """Whether a value is an array of NumPy's numbers."""
    return isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufc"


def only_number(value: Any) -> Any:
    """The number that all elements of an array are, to the bit; None if there is none."""
    if not is_numeric(value) or value.size == 0:
        return None
    first = value[(0,) * value.ndim]
    if is_repeated(value) or value.size == 1:
        return first
    if value.size > COMPARED or not (value == first).all():
        return None
    if value.dtype.kind in "fc" and any((np.signbit(part) != np.signbit(one)).any() for part, one in parts(value, first)):
        return None
    return first


def parts(value: Any, first: Any) -> list[tuple[Any, Any]]:
    """Real and imaginary parts."""
    return [(value, first)] if value.dtype.kind == "f" else [(value.real, first.real), (value.imag, first.imag)]


def known_by(value: Any, short: int = SHORT) -> Any:
    """What a constant is known by: equal keys are equal values, to the bit."""
    if value.__class__ is float:
        return (float, struct.pack("d", value))
    if value.__class__ is complex:
        return (complex, struct.pack("dd", value.real, value.imag))
    if is_weak(value):
        return (value.__class__, value)
    if is_numeric(value):
        if is_repeated(value) and value.ndim:
            return (value.dtype, value.shape, value[(0,) * value.ndim].tobytes())
        if value.nbytes <= short:
            return (value.dtype, value.shape, value.tobytes())
    return id(value)


def frozen(value: Any) -> Any:
    """A parameter as a key: equal keys are equal parameters."""
    if value.__class__ is dict:
        return tuple((name, frozen(x)) for name, x in sorted(value.items())) if value else ()
    if value.__class__ is tuple or value.__class__ is list:
        return (value.__class__, *map(frozen, value))
    if value.__class__ is slice:
        return (slice, frozen(value.start), frozen(value.stop), frozen(value.step))
    if is_weak(value) or isinstance(value, np.ndarray | np.generic | Shaped):
        return known_by(value) if not isinstance(value, Shaped) else value
    try:
        hash(value)
    except TypeError:
        return Identity(value)
    return (value.__class__, value)


class Identity:
    """A parameter that is equal to itself alone."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return other.__class__ is Identity and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)
