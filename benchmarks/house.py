"""
Figures of the source tree, to compare two revisions: ``python benchmarks/house.py [REV]``.

Without ``REV`` it measures the checkout, otherwise that git revision in a temporary folder. Sizes
are counted from the syntax tree; the modules that a call passes are traced while it runs against
the sandbox.

Complexity: 1, and 1 more for each branch, loop, handler, comprehension, conditional expression and
``and``/``or`` operand.
"""

from __future__ import annotations

import argparse
import ast
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import threading
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parents[1]
PACKAGE = "aigc_kit"
MOST_COMPLEX = 10
BRANCHES = (ast.If, ast.For, ast.While, ast.ExceptHandler, ast.IfExp, ast.comprehension, ast.Assert)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DIRECTIVES = ("# fmt:", "# type:", "# noqa", "# pragma", "# ruff:", "# pyright:")

Graph = dict[str, set[str]]


@dataclass
class Figures:
    """What is counted in a file or a package."""

    files: int = 0
    lines: int = 0
    code: int = 0
    functions: int = 0
    complex: int = 0
    conditionals: int = 0
    isinstances: int = 0
    comments: int = 0
    anys: int = 0
    fmt_skips: int = 0

    def add(self, other: Figures) -> None:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


def measured(source: str) -> Figures:
    """The figures of one file."""
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    functions = [node for node in nodes if isinstance(node, FUNCTIONS)]
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    return Figures(
        files=1,
        lines=len(source.splitlines()),
        code=code_lines(source, nodes),
        functions=len(functions),
        complex=sum(complexity(function) > MOST_COMPLEX for function in functions),
        conditionals=sum(isinstance(node, ast.IfExp) for node in nodes),
        isinstances=sum(isinstance(node, ast.Name) and node.id == "isinstance" for node in nodes),
        comments=sum(not comment.startswith(DIRECTIVES) for comment in comments),
        anys=sum(token.type == tokenize.NAME and token.string == "Any" for token in tokens),
        fmt_skips=sum("fmt: skip" in comment for comment in comments),
    )


def code_lines(source: str, nodes: list[ast.AST]) -> int:
    """Lines that are not blank, not a comment, and not part of a docstring."""
    texts: set[int] = set()
    for node in nodes:
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            texts.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(source.splitlines(), 1)
    return sum(
        bool(line.strip()) and not line.strip().startswith("#") and at not in texts
        for at, line in lines
    )


def complexity(function: ast.AST) -> int:
    nodes = list(ast.walk(function))
    operands = sum(len(node.values) - 1 for node in nodes if isinstance(node, ast.BoolOp))
    return 1 + operands + sum(isinstance(node, BRANCHES) for node in nodes)


def import_graph(package: Path) -> Graph:
    """
    Module -> modules of the package that it imports, also inside functions, without what only type
    checkers see.
    """
    paths = {module_name(path, package): path for path in package.rglob("*.py")}
    return {name: set(imports(path, set(paths))) - {name} for name, path in paths.items()}


def module_name(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, known: set[str]) -> Iterator[str]:
    for node in running(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found = inner if inner in known else str(node.module)
                yield from {found} & known


def running(node: ast.AST) -> Iterator[ast.AST]:
    """Every node below, without the bodies of ``if TYPE_CHECKING:``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from running(child)


def circles(graph: Graph) -> list[list[str]]:
    """Modules that import each other, in groups."""
    reach = {name: reachable(graph, name) for name in graph}
    groups = {
        frozenset(other for other in reach[name] if name in reach[other])
        for name in graph
        if name in reach[name]
    }
    return sorted(sorted(group) for group in groups)


def reachable(graph: Graph, start: str) -> set[str]:
    found: set[str] = set()
    waiting = [*graph[start]]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += graph[name]
    return found


def longest_chain(graph: Graph) -> list[str]:
    """The longest way down the imports; a circle counts as its first module alone."""
    leader = {name: name for name in graph} | {
        name: group[0] for group in circles(graph) for name in group
    }
    below: Graph = {name: set() for name in leader.values()}
    for name, imported in graph.items():
        below[leader[name]] |= {leader[other] for other in imported} - {leader[name]}
    chains: dict[str, list[str]] = {}

    def chain(name: str) -> list[str]:
        if name not in chains:
            chains[name] = [name, *max(map(chain, sorted(below[name])), key=len, default=[])]
        return chains[name]

    return max(map(chain, sorted(below)), key=len)


def traced(call: Callable[[], Any], package: Path) -> set[str]:
    """The modules of the package whose functions run during the call, without the sandbox."""
    seen: set[str] = set()

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            seen.add(frame.f_code.co_filename)

    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    inside = [Path(name) for name in seen if name.startswith(str(package))]
    names = {module_name(path, package) for path in inside}
    return {name for name in names if not name.startswith(f"{PACKAGE}.sandbox")}


def trace(package: Path) -> None:
    """
    Print what three calls pass. Each runs once before, so that imports and first connections do not
    count.
    """
    from aigc_kit import ChatClient, ImageClient
    from aigc_kit.sandbox import Sandbox
    from aigc_kit.storage import LocalStorage

    with Sandbox() as sandbox, tempfile.TemporaryDirectory() as folder:
        options = {"allow_private_hosts": True, **sandbox.image_options("volcengine")}
        storage = LocalStorage(folder, base_url="https://images.example.com")
        with (
            ChatClient("openai", **sandbox.chat_options("openai")) as chat,
            ImageClient("volcengine", **options) as images,
            ImageClient("volcengine", storage=storage, **options) as storing,
        ):
            results = [images.text_to_image(prompt) for prompt in ("a cat", "a dog")]
            print_modules(
                "a chat message", lambda: chat.chat([{"role": "user", "content": "hi"}]), package
            )
            print_modules("an image prompt", lambda: images.text_to_image("a cat"), package)
            print_modules("store(result)", lambda: storing.store(results.pop()), package)


def print_modules(name: str, call: Callable[[], Any], package: Path) -> None:
    call()
    modules = sorted(module.removeprefix(f"{PACKAGE}.") for module in traced(call, package))
    print(f"{name}: {len(modules)} modules ({', '.join(modules)})")


def report(package: Path) -> None:
    """Print the tables."""
    totals: dict[str, Figures] = {}
    for path in sorted(package.rglob("*.py")):
        inside = path.relative_to(package).parts
        name = inside[0] if len(inside) > 1 else "(top)"
        figures = measured(path.read_text("utf-8"))
        for key in (name, "all"):
            totals.setdefault(key, Figures()).add(figures)
    totals["all"] = totals.pop("all")
    print(
        "| package | files | lines | complex functions | conditionals | isinstance | comments | Any | fmt: skip |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name, total in totals.items():
        share = 100 * total.complex / max(total.functions, 1)
        per_code = [
            f"{100 * count / total.code:.1f}" for count in (total.conditionals, total.isinstances)
        ]
        comments = f"{100 * total.comments / total.lines:.1f}"
        anys = f"{100 * total.anys / total.code:.1f}"
        cells = [
            name,
            total.files,
            total.lines,
            f"{total.complex} ({share:.1f} %)",
            *per_code,
            comments,
            anys,
            total.fmt_skips,
        ]
        print("| " + " | ".join(map(str, cells)) + " |")
    print(
        "Complexity above 10; conditional expressions, isinstance and Any per 100 lines of code, comments per 100 lines.\n"
    )
    graph = import_graph(package)
    chain = [name.removeprefix(f"{PACKAGE}.") for name in longest_chain(graph)]
    print(f"longest import chain: {len(chain)} modules ({' > '.join(chain)})")
    found = circles(graph)
    print(
        f"import circles: {len(found)}",
        *(f"  {len(group)} modules: {', '.join(group)}" for group in found),
        sep="\n",
    )


def extracted(revision: str, folder: Path) -> Path:
    """The revision's files below ``folder``."""
    packed = subprocess.run(
        ["git", "archive", revision, "src"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "src"


def run(source: Path) -> None:
    """The tables from here, the traces from an interpreter that imports this very source."""
    package = (source / PACKAGE).resolve()
    report(package)
    sys.stdout.flush()
    environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, __file__, "--trace", str(package)], env=environment, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("revision", nargs="?", help="a git revision; the checkout without it")
    parser.add_argument("--trace", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.trace:
        trace(given.trace)
        return
    if not given.revision:
        run(ROOT / "src")
        return
    with tempfile.TemporaryDirectory() as folder:
        run(extracted(given.revision, Path(folder)))


if __name__ == "__main__":
    main()
