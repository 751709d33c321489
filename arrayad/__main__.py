"""`python -m arrayad info | demo | compare | precision`."""

from __future__ import annotations

import argparse
import platform
import sys

import numpy as np

from arrayad import demo, kernels, precision
from arrayad.comparison import command
from arrayad.compiler import cache
from arrayad.compiler.toolchain import toolchain, why_no_toolchain
from arrayad.kernels import native
from arrayad.version import __version__


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m arrayad", description="Derivatives of array programs on a CPU.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("info", help="print what computes here")
    demo.add_arguments(commands.add_parser("demo", help="train a network on digits, and check its gradient"))
    command.add_arguments(commands.add_parser("compare", help="differentiate a function in four ways, side by side"))
    precision.add_arguments(commands.add_parser("precision", help="measure the derivatives of elementwise functions"))
    options = parser.parse_args(arguments)
    if options.command == "info":
        print(info_text())
        return
    try:
        {"demo": demo.run, "compare": command.run, "precision": precision.run}[options.command](options)
    except ImportError as error:
        sys.exit(str(error))


def info_text() -> str:
    """Version, backend, instruction set, threads, BLAS, vector functions, pool, compiler and its cache: one a line."""
    info = kernels.info()
    pool = info["pool"]
    lines = {
        "arrayad": __version__,
        "Python": f"{platform.python_version()}, NumPy {np.__version__}, {sys.platform} {platform.machine()}",
    }
    if info["backend"] == "c":
        lines["backend"] = f"C, compiled by {info['compiler']}"
        lines["instruction set"] = f"{info['isa']}, of {', '.join(info['isas'])}"
        lines["threads"] = str(info["threads"])
        lines["vector math"] = info["vector_math"]
    else:
        lines["backend"] = f"NumPy ({info['why_not_native'] or 'chosen'})"
    lines["BLAS"] = info["blas"]
    sizes = (pool["live"] / 1e6, pool["cached"] / 1e6, pool["limit"] / 1e6)
    lines["pool"] = "{:.1f} MB in use, {:.1f} MB kept for reuse, at most {:.0f} MB".format(*sizes)
    lines |= compiler_lines()
    return "\n".join(f"{name:<18}{value}" for name, value in lines.items())


def compiler_lines() -> dict[str, str]:
    """What `ad.compile` works with: the compiler, its flags and vector functions, the BLAS of programs, the cache."""
    compiler = toolchain()
    if compiler is None:
        lines = {"compiler": f"none: {why_no_toolchain()}"}
    else:
        double = sorted(name for name in compiler.vector_math if not name.endswith("f") or name == "erf")
        lines = {
            "compiler": f"{compiler.version}, {' '.join(compiler.command)}",
            "flags": " ".join((*compiler.flags, *compiler.libraries)),
            "vectorised": " ".join(double) or "nothing of the C library",
        }
    lines["BLAS of programs"] = native.give_blas() or "none"
    kept = cache.stats()
    size = f"{int(kept['bytes']) / 1e6:.1f} MB of at most {int(kept['limit']) / 1e6:.0f}"
    lines["cache"] = f"{kept['directory']}, {kept['entries']} programs, {size}; {kept['hits']} hits, {kept['misses']} misses"
    return lines


if __name__ == "__main__":
    main()
