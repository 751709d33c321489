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
    defined, but not to the last digit, or with another domain.  `samples` are programs in which the rule must apply.
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
    ) -> None:
        self.doc = doc
        self.patterns = patterns
        self.replacement = replacement
        self.samples = samples
        self.condition = condition
        self.reorders = reorders
        self.exact = exact

    def __repr__(self) -> str:
        return self.doc

    def applied(self, graph: Any, row: Any, inputs: Sequence[Any], params: dict[str, Any], output: Any, root: Any) -> Any:
        """What stands in the place of the expression, None where the rule does not apply."""
        for pattern in self.patterns:
            if pattern[0] is not row and not (isinstance(pattern[0], type) and isinstance(row, pattern[0])):
                continue
            match = Match(graph, row, inputs, params, output, root)
            if match.operands_fit(pattern, inputs) and (self.condition is None or self.condition(match)):
                found = self.replacement(match)
                if found is not None:
                    return found
        return None


REWRITES: dict[Any, list[Rewrite]] = {}
"""All rules, by the row, or the class of rows, that their patterns begin with."""


def rewrite(
    doc: str,
    *patterns: Pattern,
    to: Callable[[Match], Any],
    samples: Sequence[Sample],
    when: Callable[[Match], bool] | None = None,
    reorders: bool = False,
    exact: bool = True,
) -> Rewrite:
    """Declare a rule."""
    settled = [with_rows(pattern) for pattern in patterns]
    rule = Rewrite(doc, settled, to, samples, when, reorders, exact)
    for root in dict.fromkeys(pattern[0] for pattern in settled):
        REWRITES.setdefault(root, []).append(rule)
    return rule


def row_of(operation: Any) -> Primitive:
    """The row that an operation applies, or a row as it is."""
    return operation if isinstance(operation, Primitive) else operation.primitive


def with_rows(pattern: Pattern) -> Pattern:
    """The pattern with rows in the place of the operations that apply them."""
    head, *rest = pattern
    row = head if isinstance(head, type) else row_of(head)
    return (row, *(with_rows(part) if part.__class__ is tuple else part for part in rest))


def rules_for(row: Primitive) -> list[Rewrite]:
    """The rules that may apply to operations of a row."""
    return [rule for root in (row, *type(row).__mro__) for rule in REWRITES.get(root, ())]


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
