"""`python -m arrayad compare`: the four ways to a derivative, of an expression or of a function in a file."""

from __future__ import annotations

import argparse
import sys

from arrayad.comparison.problem import SECONDS
from arrayad.comparison.side_by_side import compare
from arrayad.comparison.source import point, program
from arrayad.errors import ArrayadError

EXAMPLES = """examples:
  python -m arrayad compare "sin(x**2 + 1)" --at x=0.5 --by-hand "2 * x * cos(x**2 + 1)" --plot compare.png
  python -m arrayad compare "sum(exp(x) * y)" --at "x=[1, 2]" y=3
  python -m arrayad compare model.py:loss --at "linspace(0, 1, 5)" --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("program", help="an expression of arrayad's public functions, or FILE.py:FUNCTION")
    parser.add_argument(
        "--at", nargs="+", required=True, metavar="NAME=VALUE", help="the point: a value for each argument, by name or in order"
    )
    parser.add_argument(
        "--by-hand", metavar="PROGRAM", help="the derivative that you worked out, an expression or FILE.py:FUNCTION"
    )
    parser.add_argument("--plot", metavar="PATH", help="write the figure of errors, costs and sizes")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long each way is timed (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print everything for machines")


def run(options: argparse.Namespace) -> None:
    """Compare, print, and plot; what is wrong with the arguments is said in one line, with the exit status 2."""
    try:
        points = [point(text) for text in options.at]
        names = tuple(name for name, _ in points if name is not None)
        if 0 < len(names) < len(points):
            raise ValueError("[compare] --at has values with and without a name; name all of them, or none")
        f, names = program(options.program, names)
        by_hand = None if options.by_hand is None else program(options.by_hand, names)[0]
        found = compare(f, *(value for _, value in points), by_hand=by_hand, names=names, seconds=options.seconds)
    except (ArrayadError, ValueError, TypeError, OSError, AttributeError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    print(found.json() if options.json else found)
    if options.plot is not None:
        found.plot(options.plot)
        print(f"wrote {options.plot}", file=sys.stderr)
