"""The rules that keep the house standing, checked on the sources.

Each test collects what breaks one rule, as `file:line what`, and says in its message what to do about it.  The order of the
layers is written once, in `[tool.arrayad]` of pyproject.toml.
"""

from __future__ import annotations

import ast
import functools
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

from arrayad.primitive import TABLE

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "arrayad"
CONTRACT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["arrayad"]

LONGEST_FUNCTION = 80
LONGEST_MODULE = 600
NATIVE = "arrayad._native"

FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


class Module(NamedTuple):
    """A module of the package, parsed."""

    name: str
    path: Path
    tree: ast.Module

    def at(self, node: ast.AST, what: str) -> str:
        return f"{self.path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)} {what}"


class Import(NamedTuple):
    """One name that a module imports: `module`, `arrayad.tape` for an import from it or of it."""

    target: str
    node: ast.AST
    inside_function: bool


@functools.cache
def modules() -> dict[str, Module]:
    """Every module of the package by its dotted name; `arrayad.readers` is the package's `__init__`."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name, path, ast.parse(path.read_text(encoding="utf-8"), str(path)))
    return found


def nodes(root: ast.AST, inside_function: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """(node, whether it stands inside a function) of everything below `root`."""
    for node in ast.iter_child_nodes(root):
        yield node, inside_function
        yield from nodes(node, inside_function or isinstance(node, FUNCTIONS | ast.Lambda))


def imports(module: Module) -> Iterator[Import]:
    """What a module imports, also under `if TYPE_CHECKING` and by `import_module("...")`, in absolute names."""
    for node, inside in nodes(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node, inside)
        elif isinstance(node, ast.ImportFrom):
            base = origin(module, node)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield Import(inner if inner in modules() or inner == NATIVE else base, node, inside)
        elif isinstance(node, ast.Call) and called(node) in ("import_module", "__import__") and node.args:
            if isinstance(node.args[0], ast.Constant):
                yield Import(str(node.args[0].value), node, inside)


def origin(module: Module, node: ast.ImportFrom) -> str:
    """The absolute name of the module in `from module import ...`."""
    if not node.level:
        return node.module or ""
    package = module.name.split(".")
    up = node.level - 1 if module.path.name == "__init__.py" else node.level
    return ".".join([*package[: len(package) - up], *([node.module] if node.module else [])])


def own_imports(module: Module) -> Iterator[Import]:
    """The imports of modules of the house; the compiled extension is none."""
    return (found for found in imports(module) if is_own(found.target) and found.target != NATIVE)


def is_own(name: str) -> bool:
    return name.split(".")[0] == "arrayad"


def called(node: ast.Call) -> str:
    """The last name of what is called: `f` in `f(x)` and in `a.b.f(x)`."""
    return last_name(node.func)


def last_name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def member(name: str) -> str:
    """The name by which the contract knows a module: `readers` for `arrayad.readers.sweep`, `__init__` for the package."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def layers() -> dict[str, int]:
    """The position of each member, the highest having 0."""
    return {name: i for i, layer in enumerate(CONTRACT["layers"]) for name in layer}


def refuse(broken: list[str], rule: str) -> None:
    """Fail with the rule and everything that breaks it."""
    assert not broken, "\n".join([rule, *(f"  {line}" for line in broken)])


# --- layers ------------------------------------------------------------------------------------------------------------


def test_every_module_has_its_layer():
    missing = sorted({member(name) for name in modules()} - layers().keys())
    refuse(missing, "Enter these modules in the layer that they belong to: [tool.arrayad] layers in pyproject.toml.")


def test_a_module_imports_only_what_stands_above_it():
    order = layers()
    last = len(order)
    broken = [
        module.at(found.node, f"imports {found.target}, which stands below")
        for module in modules().values()
        for found in own_imports(module)
        if order.get(member(found.target), last) > order.get(member(module.name), last)
    ]
    refuse(
        broken,
        "A module imports only what stands above it in [tool.arrayad] layers of pyproject.toml.  Move what is needed up, or "
        "hand it down as an argument; `from arrayad import x` is for those outside, inside name the module that has x.",
    )


def test_independent_packages_import_only_what_they_may():
    broken = [
        module.at(found.node, f"imports {found.target}")
        for name, allowed in CONTRACT["only"].items()
        for module in modules().values()
        if member(module.name) == name
        for found in own_imports(module)
        if member(found.target) not in (name, *allowed)
    ]
    refuse(broken, f"These packages know of nothing but: {CONTRACT['only']}.  Let the caller pass in what else is needed.")


def test_no_import_cycle():
    graph = {name: {found.target for found in own_imports(module)} for name, module in modules().items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(
            "These modules import each other in a circle; move what two of them need into a third above them:\n  "
            + " → ".join(reversed(error.args[1]))
        )


def test_no_module_of_the_house_is_imported_inside_a_function():
    broken = [
        module.at(found.node, f"imports {found.target} inside a function")
        for module in modules().values()
        for found in own_imports(module)
        if found.inside_function
    ]
    refuse(broken, "Import at the head of the module.  If that makes a cycle, something lives in the wrong file.")


def test_cffi_is_touched_in_one_place():
    broken = [
        module.at(found.node, f"imports {found.target}")
        for module in modules().values()
        for found in imports(module)
        if found.target == NATIVE or found.target.split(".")[0] in ("cffi", "_cffi_backend")
        if module.name != "arrayad.kernels.native"
    ]
    refuse(broken, "Only arrayad/kernels/native.py touches cffi and the extension; ask arrayad.kernels instead.")


# --- no reader names a primitive ---------------------------------------------------------------------------------------


def asks_for_name(node: ast.AST) -> bool:
    """`entry.primitive.name`, `row.name`, `row.name.upper()`: but `value.dtype.name` names a dtype."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        node = node.func.value
    return isinstance(node, ast.Attribute) and node.attr == "name" and last_name(node.value) != "dtype"


def is_primitive(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "primitive"


def names_rows(node: ast.AST) -> bool:
    """A string, or a display of strings, that is the name of a row."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and node.value in TABLE
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return any(map(names_rows, node.elts))
    return isinstance(node, ast.Dict) and any(names_rows(key) for key in node.keys if key is not None)


class Known(NamedTuple):
    """The names by which a reader could tell primitives apart."""

    rows: set[str]
    """Rows that it imports from `arrayad.primitives` and below."""
    families: set[str]
    """Modules of rows that it imports."""
    bound: set[str]
    """What stands at its head: constants, tables."""


def known_in(module: Module) -> Known:
    rows, families = set(), set()
    for node, _ in nodes(module.tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if member(f"{origin(module, node)}.{alias.name}") == "primitives":
                    is_row = alias.name.rstrip("_") in TABLE and f"{origin(module, node)}.{alias.name}" not in modules()
                    (rows if is_row else families).add(alias.asname or alias.name)
    targets = [
        target
        for node in module.tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    return Known(rows, families, {target.id for target in targets if isinstance(target, ast.Name)})


def is_row(node: ast.AST, known: Known) -> bool:
    """`sin`, `trigonometric.sin`, and either's `.primitive`."""
    if is_primitive(node):
        node = node.value
    if isinstance(node, ast.Attribute):
        return node.attr.rstrip("_") in TABLE and last_name(node.value) in known.families
    return isinstance(node, ast.Name) and node.id in known.rows


def names_none(side: ast.AST, how: ast.cmpop, known: Known) -> bool:
    """Whether one side of a comparison names no primitive: another entry's, None, or a variable that collects them."""
    if isinstance(how, ast.In | ast.NotIn) and isinstance(side, ast.Name):
        return side.id not in known.bound
    return is_primitive(side) or (isinstance(side, ast.Constant) and side.value is None)


def names_a_primitive(node: ast.AST, known: Known) -> str | None:
    """How this node tells primitives apart, or None."""
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        if any(map(asks_for_name, sides)):
            return "compares a name"
        if any(map(names_rows, sides)):
            return "compares with the name of a row"
        if any(is_row(side, known) for side in sides):
            return "compares with a row"
        if any(map(is_primitive, sides)) and not all(names_none(side, node.ops[0], known) for side in sides):
            return "compares a primitive"
    if isinstance(node, ast.Match) and (asks_for_name(node.subject) or is_primitive(node.subject)):
        return "matches on a primitive"
    if isinstance(node, ast.MatchValue) and names_rows(node.value):
        return "matches the name of a row"
    if isinstance(node, ast.Call) and called(node) in ("startswith", "endswith") and asks_for_name(node):
        return "compares a name"
    if isinstance(node, ast.Call) and called(node) in ("get", "index", "getattr") and any(map(names_rows, node.args)):
        return "looks a row up by name"
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        if names_rows(node.slice) or asks_for_name(node.slice):
            return "looks something up by the name of a row"
    if isinstance(node, ast.Dict) and names_rows(node):
        return "has a table by the names of rows"
    return None


def test_no_reader_names_a_primitive():
    broken = []
    for module in modules().values():
        if member(module.name) == "readers":
            known = known_in(module)
            for node, _ in nodes(module.tree):
                if reason := names_a_primitive(node, known):
                    broken.append(module.at(node, f"{reason}: {ast.unparse(node).splitlines()[0]}"))
    refuse(
        broken,
        "A reader asks every primitive the same question, a column of its row, and never which one it is.  Give the rows a "
        "column that says what matters here; what only one pattern of operations needs is a rewrite rule.",
    )


@pytest.mark.parametrize(
    "source, allowed",
    [
        ("if entry.primitive.name == 'x': pass", False),
        ("if row.name in names: pass", False),
        ("if row.name.startswith('a'): pass", False),
        ("if name == 'sin': pass", False),
        ("if 'sin' in (x, y): pass", False),
        ("if entry.primitive is sin: pass", False),
        ("if row == sin: pass", False),
        ("if entry.primitive is rows.sin: pass", False),
        ("if entry.primitive is sin.primitive: pass", False),
        ("if row is trigonometric.sin.primitive: pass", False),
        ("if entry.primitive in (sin, other): pass", False),
        ("if entry.primitive in SPECIAL: pass", False),
        ("match entry.primitive.name:\n    case _: pass", False),
        ("match word:\n    case 'sin': pass", False),
        ("RULES = {'sin': 1}", False),
        ("rule = rules[entry.primitive.name]", False),
        ("rule = rules.get('sin')", False),
        ("y = sin(x)", True),
        ("operations[entry.primitive.name] += 1", True),
        ("text = f'{entry.primitive.name}({x})'", True),
        ("if entry.primitive is None: pass", True),
        ("if entry.primitive is other.primitive: pass", True),
        ("def f(seen):\n    return entry.primitive in seen", True),
        ("if x.dtype.name == 'float32': pass", True),
        ("if entry.primitive.kind == 'linear': pass", True),
        ("rule = entry.primitive.vjp", True),
    ],
)
def test_the_check_of_readers_tells_naming_from_asking(source, allowed, monkeypatch):
    monkeypatch.setitem(TABLE, "sin", TABLE.get("sin"))
    head = "from arrayad.primitives import sin, trigonometric\nSPECIAL = make()\n"
    module = Module("arrayad.readers.made_up", PACKAGE / "readers" / "made_up.py", ast.parse(head + source))
    known = known_in(module)
    found = [reason for node, _ in nodes(module.tree) if (reason := names_a_primitive(node, known))]
    assert bool(found) is not allowed, found


# --- what is generated -------------------------------------------------------------------------------------------------


def test_generated_files_are_up_to_date():
    generator = ROOT / "tools" / "generate.py"
    if not generator.exists():
        pytest.skip("there is no tools/generate.py")
    ran = run(generator, "--check", ARRAYAD_BACKEND="numpy")
    assert ran.returncode == 0, f"Generated files differ from what the rows say: run `make generate`.\n{ran.stdout}{ran.stderr}"


# --- size and words ----------------------------------------------------------------------------------------------------


def test_functions_fit_on_a_screen():
    broken = [
        module.at(node, f"{node.name} has {length} lines")
        for module in modules().values()
        for node, _ in nodes(module.tree)
        if isinstance(node, FUNCTIONS) and (length := node.end_lineno - node.lineno + 1) > LONGEST_FUNCTION
    ]
    refuse(broken, f"A function has at most {LONGEST_FUNCTION} lines: name its parts.")


def test_modules_have_one_subject():
    lengths = {module: len(module.path.read_text(encoding="utf-8").splitlines()) for module in modules().values()}
    broken = [module.at(module.tree, f"has {length} lines") for module, length in lengths.items() if length > LONGEST_MODULE]
    refuse(broken, f"A module has at most {LONGEST_MODULE} lines: look for the second subject.")


def sources(*suffixes: str) -> Iterator[Path]:
    """The files that people write, here and in C."""
    for folder in ("arrayad", "csrc", "tools", "tests", "examples", "benchmarks"):
        yield from (path for path in sorted((ROOT / folder).rglob("*")) if path.suffix in suffixes)


def test_nothing_is_left_to_do():
    word = re.compile(r"\b(TODO|FIXME)\b")
    broken = [
        f"{path.relative_to(ROOT)}:{number} {line.strip()}"
        for path in sources(".py", ".c", ".h")
        if path != Path(__file__).resolve()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if word.search(line)
    ]
    refuse(broken, "Do it, or open an issue and take the line out.")


def test_modules_are_named_for_what_they_hold():
    word = re.compile(r"(^|_)(utils?|misc|common|helpers?)(_|$)")
    broken = [
        str(path.relative_to(ROOT))
        for path in sources(".py", ".c", ".h")
        if any(word.search(part) for part in path.relative_to(ROOT).with_suffix("").parts)
    ]
    refuse(broken, "Name the subject; what has no subject in common belongs to those who use it.")


def test_nothing_is_left_unimplemented():
    broken = [
        module.at(node, "NotImplementedError")
        for module in modules().values()
        for node, _ in nodes(module.tree)
        if isinstance(node, ast.Name) and node.id == "NotImplementedError"
    ]
    refuse(broken, "Write it, or refuse with an error that says what came, what was needed, and the cure.")


# --- the import --------------------------------------------------------------------------------------------------------

# Slow to import, or optional, or for tests alone.  cffi parses declarations with pycparser, which takes 60 ms.
HEAVY = "graphviz hypothesis jax matplotlib mpmath pycparser pytest scipy sklearn sympy torch tqdm unittest".split()

IMPORT = """
import json, sys, warnings
import numpy
before = set(sys.modules)
warnings.simplefilter("ignore")
import arrayad
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def run(*args: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the root of the repository."""
    command = [sys.executable, *map(str, args)]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, text=True, capture_output=True, timeout=300)


def test_the_import_loads_nothing_heavy():
    ran = run("-c", IMPORT)
    assert ran.returncode == 0, ran.stderr
    loaded = {name.split(".")[0] for name in json.loads(ran.stdout)}
    refuse(sorted(loaded & set(HEAVY)), "`import arrayad` loads these; import them in the function that needs them.")
