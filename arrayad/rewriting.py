"""`Rewrite`: the row of a rule that replaces one expression by another of the same value, and the table of all rules.

A pattern is a tuple of an operation and of what its operands look like: a name for anything (the same name twice for the same
thing), `Known` for a constant, another pattern.  A class in the operation's place stands for all rows of that class, `...`
behind the last operand for any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from arrayad.primitive import Primitive
from arrayad.shaped import Shaped


class Known(NamedTuple):
    """An operand that is a constant, all of whose elements are one number, of which `test` holds."""

    name: str
    test: Callable[[Any], bool]


class Sample(NamedTuple):
    """A program of operations in which the rule applies, and the shapes and dtypes of its operands."""

    function: Callable[..., Any]
    avals: tuple[Shaped, ...]


def sample(function: Callable[..., Any], *shapes: tuple[int, ...], dtypes: str | Sequence[str] = "float64") -> Sample:
    """A sample whose operands have these shapes, and one dtype or one each."""
    each = [dtypes] * len(shapes) if isinstance(dtypes, str) else dtypes
    return Sample(function, tuple(Shaped(shape, dtype) for shape, dtype in zip(shapes, each, strict=True)))


Pattern = tuple[Any, ...]


class Rewrite:
    """One rule.  `replacement(m)` makes the new expression of a `Match`; None declines, as does a `condition` that fails.

    A replacement has the shape and the dtype of what it replaces, or is not taken.  It has the same value to the bit, unless
    the rule `reorders` sums, which changes rounding alone, or is not `exact`: right for real numbers where both sides are
    defined, but not to the last digit, or with another domain.  A rule that `forgets` takes away what only a derivative looks
    at.  `samples` are programs in which the rule must apply.
    """

    def __init__(
        self,
        doc: str,
        patterns: Sequence[Pattern],
        replacement: Callable[[Match], Any],
        samples: Sequence[Sample],
        condition: Callable[[Match], bool] | None,
        reorders: bool,
        exact: bool,
        forgets: bool = False,
    ) -> None:
        self.doc = doc
        self.patterns = patterns
        self.replacement = replacement
        self.samples = samples
        self.condition = condition
        self.reorders = reorders
        self.exact = exact
        self.forgets = forgets

    def __repr__(self) -> str:
        return self.doc


class Form:
    """One pattern of a rule, with what of the operands can be seen at a glance."""

    __slots__ = ("arity", "first", "pattern", "rule")

    def __init__(self, rule: Rewrite, pattern: Pattern) -> None:
        parts = pattern[1:]
        self.rule = rule
        self.pattern = pattern
        self.arity = None if parts and parts[-1] is ... else len(parts)
        self.first = [
            (i, Known if part.__class__ is Known else part[0])
            for i, part in enumerate(parts)
            if part is not ... and part.__class__ is not str
        ]

    def may_fit(self, makers: Sequence[Any]) -> bool:
        """Whether the rows that made the operands (of constants, `Known`) are those of the pattern."""
        if self.arity is not None and self.arity != len(makers):
            return False
        found = zip(makers, range(len(makers)), strict=True)
        heads = dict(self.first)
        return all(i not in heads or maker is heads[i] or is_of_class(maker, heads[i]) for maker, i in found)

    def applied(self, match: Match) -> Any:
        """What stands in the place of the expression, None where the rule does not apply."""
        rule = self.rule
        if match.operands_fit(self.pattern, match.inputs) and (rule.condition is None or rule.condition(match)):
            return rule.replacement(match)
        return None


def is_of_class(maker: Any, head: Any) -> bool:
    """Whether a row is one of a class."""
    return isinstance(head, type) and isinstance(maker, head)


Table = dict[Any, list[Rewrite]]
"""Rules by the row, or the class of rows, that their patterns begin with."""

REWRITES: Table = {}
"""The rules for programs that run."""


def rewrite(
    doc: str,
    *patterns: Pattern,
    to: Callable[[Match], Any],
    samples: Sequence[Sample],
    when: Callable[[Match], bool] | None = None,
    reorders: bool = False,
    exact: bool = True,
    forgets: bool = False,
    table: Table = REWRITES,
) -> Rewrite:
    """Declare a rule in a table."""
    settled = [with_rows(pattern) for pattern in patterns]
    rule = Rewrite(doc, settled, to, samples, when, reorders, exact, forgets)
    for root in dict.fromkeys(pattern[0] for pattern in settled):
        table.setdefault(root, []).append(rule)
    return rule


def row_of(operation: Any) -> Primitive:
    """The row that an operation applies, or a row as it is."""
    return operation if isinstance(operation, Primitive) else operation.primitive


def with_rows(pattern: Pattern) -> Pattern:
    """The pattern with rows in the place of the operations that apply them."""
    head, *rest = pattern
    row = head if isinstance(head, type) else row_of(head)
    return (row, *(with_rows(part) if part.__class__ is tuple else part for part in rest))


def forms_for(row: Primitive, tables: Sequence[Table] = (REWRITES,)) -> list[Form]:
    """The patterns that operations of a row may fit, in the order in which they are tried."""
    return [
        Form(rule, pattern)
        for table in tables
        for root in (row, *type(row).__mro__)
        for rule in table.get(root, ())
        for pattern in rule.patterns
        if pattern[0] is root
    ]


class Match:
    """An expression that fits a pattern: `m["x"]` is what stood in a named place, `m(row, *operands, **params)` a new expression.

    `row`, `params` and `inputs` are those of the outermost operation, `inner` the operations within, as the pattern lists them,
    `root` the entry that is being rewritten, None for an expression that a rule has made.
    """

    __slots__ = ("graph", "inner", "inputs", "named", "output", "params", "root", "row")

    def __init__(self, graph: Any, row: Primitive, inputs: Sequence[Any], params: dict[str, Any], output: Any, root: Any) -> None:
        self.graph = graph
        self.row = row
        self.inputs = inputs
        self.params = params
        self.output = output
        self.root = root
        self.named: dict[str, Any] = {}
        self.inner: list[Any] = []

    def __getitem__(self, name: str) -> Any:
        return self.named[name]

    def __call__(self, operation: Any, *operands: Any, **params: Any) -> Any:
        return self.graph.make(row_of(operation), operands, params)

    def constant(self, value: Any) -> Any:
        """The expression of an array that nobody else holds."""
        return self.graph.constant(value)

    def number(self, name: str) -> Any:
        """The number that all elements of a constant are."""
        return self.graph.uniform(self.named[name])

    def operands_fit(self, pattern: Pattern, inputs: Sequence[Any]) -> bool:
        """Whether operands look as a pattern says; notes what stands where."""
        parts = pattern[1:]
        if parts and parts[-1] is ...:
            return True
        return len(parts) == len(inputs) and all(map(self.fits, parts, inputs))

    def fits(self, part: Any, x: Any) -> bool:
        """Whether one operand looks as a part of a pattern says."""
        if part.__class__ is str:
            return self.named.setdefault(part, x) is x or self.graph.same(self.named[part], x)
        if part.__class__ is Known:
            number = self.graph.uniform(x)
            if number is None or not part.test(number):
                return False
            self.named[part.name] = x
            return True
        entry = self.graph.producer(x)
        if entry is None or not (
            isinstance(entry.primitive, part[0]) if isinstance(part[0], type) else entry.primitive is part[0]
        ):
            return False
        self.inner.append(entry)
        return self.operands_fit(part, entry.inputs)
