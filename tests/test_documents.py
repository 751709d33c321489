"""The examples in the documents run as they stand."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from arrayad.compiler.toolchain import toolchain
from arrayad.namespace import METHODS, NUMPY, PUBLIC
from arrayad.primitive import TABLE
from arrayad.tensor import Tensor

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    path
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
    if ">>> " in path.read_text(encoding="utf-8") and path.name != "reference.md"  # its examples run as docstrings
]
SHOW_C = {"README.md", "compiler.md", "export.md"}
"""Those that show what is compiled: they need a compiler."""

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL


@pytest.fixture
def unchanged_table() -> object:
    """Take out again what an example declares."""
    kept = [(table, dict(table)) for table in (TABLE, PUBLIC, METHODS, NUMPY)]
    attributes = set(vars(Tensor))
    yield
    for table, before in kept:
        table.clear()
        table.update(before)
    for name in set(vars(Tensor)) - attributes:
        delattr(Tensor, name)


@pytest.mark.usefixtures("unchanged_table")
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_examples(document: Path) -> None:
    if document.name in SHOW_C and toolchain() is None:
        pytest.skip("there is no C compiler")
    failed, tried = doctest.testfile(str(document), module_relative=False, optionflags=FLAGS, encoding="utf-8")
    assert failed == 0
    assert tried > 0
