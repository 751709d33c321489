"""What operations weigh: the published weights of arithmetic, and the weight of a formula made of it.

A sum, difference or product weighs 1, and so does what takes about as long: the other sign, an absolute value, a
rounding, a comparison, a choice, a bit operation.  A quotient or a square root weighs 4.  A function that has a name,
elementary or special, weighs 15, whatever it takes to compute.  Moving data weighs nothing.

These stand in for the latencies of a processor's adder and divider and for the length of a mathematical library's
polynomials; no result hangs on their last digit (docs/cost.md).
"""

from __future__ import annotations

import ast

BASIC = 1.0
"""A sum, a difference, a product, and what takes as long."""

QUOTIENT = 4.0
"""A quotient or a square root."""

ELEMENTARY = 15.0
"""A function such as exp, sin, pow, erf or lgamma."""

FREE = {"int", "bool", "re"}
SHORT = {"abs", "max", "min", "floor", "ceil", "nint", "sign", "isnan", "isinf", "isfinite"}
ROOTS = {"sqrt": QUOTIENT, "hypot": QUOTIENT + 3 * BASIC}
"""hypot is the root of a sum of two squares."""


def weight_of(formula: str) -> float:
    """What a formula weighs: a Python expression of operands `x`, `x1`, `x2`, …, in which `mp.f` is the function f.

    What no operand goes into is a constant and weighs nothing, and dividing by one is a product.  Of the alternatives of
    a condition, which sets single points apart, the heavier one counts.

    **Example**

    >>> weight_of("1 / (1 + mp.exp(-x))"), weight_of("x2 / mp.sqrt(2)"), weight_of("x1 / x2 if x2 else 0 * x2")
    (21.0, 1.0, 4.0)
    """
    return weight(ast.parse(formula, mode="eval").body)


def weight(node: ast.expr) -> float:
    """What an expression weighs."""
    if is_constant(node):
        return 0.0
    if isinstance(node, ast.IfExp):
        return max(weight(node.body), weight(node.orelse))
    parts = sum(weight(child) for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))
    return parts + own_weight(node)


def own_weight(node: ast.expr) -> float:
    """What an operation weighs without its operands."""
    if isinstance(node, ast.BinOp):
        if isinstance(node.op, ast.Pow):
            return power_weight(node.right)
        return QUOTIENT if isinstance(node.op, ast.Div) and not is_constant(node.right) else BASIC
    if isinstance(node, ast.UnaryOp):
        return 0.0 if isinstance(node.op, ast.UAdd) else BASIC
    if isinstance(node, ast.Call):
        return function_weight(node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func))
    return BASIC if isinstance(node, ast.Compare | ast.BoolOp) else 0.0


def function_weight(name: str) -> float:
    """What a function weighs."""
    return 0.0 if name in FREE else BASIC if name in SHORT else ROOTS.get(name, ELEMENTARY)


def power_weight(exponent: ast.expr) -> float:
    """What a power weighs: that of a small whole exponent by products."""
    value = exponent.value if isinstance(exponent, ast.Constant) else None
    if isinstance(value, int) and 0 < value < 64:
        return BASIC * (value.bit_length() + value.bit_count() - 2)
    return ELEMENTARY


def is_constant(node: ast.expr) -> bool:
    """Whether no operand goes into an expression."""
    return not any(isinstance(part, ast.Name) and part.id[0] == "x" for part in ast.walk(node))
