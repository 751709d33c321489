"""What is installed is what was meant: the C kernels where they can be built, the NumPy fallback where they cannot."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import json
import math
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import arrayad
import arrayad.kernels

ROOT = Path(__file__).resolve().parents[1]

# What a build needs, and nothing that an earlier build left in the tree.
SOURCES = ["pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "arrayad", "csrc"]
LEFT_OVER = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd", "*.o", "*.a", "_native.c", "build", "*.egg-info")

# A gradient, and every warning that was given on the way to it.  Imported twice, since the second is to be silent.
GRADIENT = """
import json, sys, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import arrayad as ad
    import arrayad.kernels as kernels
    import numpy as np
    gradient = ad.grad(lambda x: (x * ad.sin(x)).sum())(np.array([0.0, 0.5, 2.0]))
    ad.grad(lambda x: (x * x).sum())(gradient)
print(json.dumps({
    "file": ad.__file__,
    "backend": kernels.backend(),
    "why": kernels.why_not_native,
    "gradient": np.asarray(gradient).tolist(),
    "warnings": [[w.category.__name__, str(w.message)] for w in caught],
}))
"""
EXPECTED = pytest.approx([math.sin(x) + x * math.cos(x) for x in (0.0, 0.5, 2.0)], rel=1e-14)


def compiler() -> str | None:
    """The C compiler that a build would take, if there is one."""
    command = shlex.split(os.environ.get("CC", "")) or ["cc"]
    return shutil.which(command[0])


def run_gradient(folder: Path, *options: str, **environment: str | None) -> dict[str, object]:
    """Run the gradient in a Python of its own, away from the tree; None takes a variable out of its environment."""
    variables = {name: value for name, value in {**os.environ, **environment}.items() if value is not None}
    command = [sys.executable, *options, "-c", GRADIENT]
    ran = subprocess.run(command, cwd=folder, env=variables, text=True, capture_output=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_the_c_kernels_are_loaded_where_there_is_a_compiler():
    if os.environ.get("ARRAYAD_BACKEND") == "numpy":
        pytest.skip("ARRAYAD_BACKEND=numpy asks for the fallback")
    if compiler() is None:
        pytest.skip("there is no C compiler")
    assert arrayad.kernels.backend() == "c", (
        f"There is a C compiler ({compiler()}), but the C kernels are not loaded: {arrayad.kernels.why_not_native}\n"
        "See `pip install --verbose --editable .` for what the build said."
    )
    assert arrayad.kernels.why_not_native is None


def test_the_version_is_the_one_that_was_installed():
    assert importlib.metadata.version("arrayad") == arrayad.__version__


def test_the_package_says_that_it_is_typed():
    assert importlib.resources.files("arrayad").joinpath("py.typed").is_file()


def test_running_it_needs_numpy_and_cffi_and_nothing_else():
    requirements = map(Requirement, importlib.metadata.requires("arrayad") or [])
    assert {requirement.name for requirement in requirements if requirement.marker is None} == {"numpy", "cffi"}


def test_the_fallback_can_be_asked_for_and_is_silent_then(tmp_path):
    found = run_gradient(tmp_path, ARRAYAD_BACKEND="numpy")
    assert found["backend"] == "numpy"
    assert found["gradient"] == EXPECTED
    assert found["warnings"] == []


@pytest.mark.slow
def test_without_a_compiler_it_installs_says_so_once_and_works(tmp_path):
    target = tmp_path / "installed"
    install_without_compiler(copy_of_the_sources(tmp_path / "sources"), target)
    assert (target / "arrayad" / "py.typed").is_file()
    assert not list(target.rglob("_native*.so"))

    # -S: the hook of an editable install would serve its own extension module to any package that is called arrayad.
    path = os.pathsep.join(map(str, [target, *dependencies()]))
    found = run_gradient(tmp_path, "-S", PYTHONPATH=path, ARRAYAD_BACKEND=None)
    assert Path(found["file"]).is_relative_to(target), "another arrayad was imported than the one just installed"
    assert found["backend"] == "numpy"
    assert found["why"]
    assert found["gradient"] == EXPECTED
    assert [category for category, _ in found["warnings"]] == ["RuntimeWarning"], found["warnings"]

    found = run_gradient(tmp_path, "-S", PYTHONPATH=path, ARRAYAD_BACKEND="numpy")
    assert found["warnings"] == [], "ARRAYAD_BACKEND=numpy says that the fallback is meant: no notice then"


def copy_of_the_sources(folder: Path) -> Path:
    """The sources in a folder of their own: pip builds where they lie, and would find what earlier builds left."""
    folder.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=LEFT_OVER)
        elif source.exists():
            shutil.copy(source, folder / name)
    return folder


def install_without_compiler(sources: Path, target: Path) -> None:
    """`pip install` in an environment whose C compiler does not exist, without network where the build's needs are here."""
    isolation = [] if not is_installed("setuptools>=77") or not is_installed("cffi>=1.17") else ["--no-build-isolation"]
    command = [sys.executable, "-m", "pip", "install", "--no-deps", *isolation, "--target", str(target), str(sources)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LDSHARED")}
    environment["CC"] = "/nonexistent/cc"
    ran = subprocess.run(command, cwd=sources, env=environment, text=True, capture_output=True, timeout=600)
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"


def dependencies() -> set[Path]:
    """The folders that hold what arrayad needs to run."""
    return {Path(str(importlib.metadata.distribution(name).locate_file(""))) for name in ("numpy", "cffi")}


def is_installed(requirement: str) -> bool:
    wanted = Requirement(requirement)
    try:
        return wanted.specifier.contains(importlib.metadata.version(wanted.name))
    except importlib.metadata.PackageNotFoundError:
        return False
