"""
The figures of ``benchmarks/house.py``: what is counted in a source text and in a graph of imports.
"""

from __future__ import annotations

import runpy
from pathlib import Path

HOUSE = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "house.py"))

SOURCE = '''
"""A docstring is not code."""
from typing import Any


def f(x: Any) -> Any:  # why
    """Nor is this."""
    # noqa is a directive
    return 1 if isinstance(x, int) and x else 2  # fmt: skip
'''


def test_a_source_text_is_counted_by_its_syntax_tree() -> None:
    figures = HOUSE["measured"](SOURCE.lstrip())
    assert (figures.lines, figures.code, figures.functions, figures.complex) == (8, 3, 1, 0)
    assert (figures.conditionals, figures.isinstances, figures.comments) == (1, 1, 1)
    assert (figures.anys, figures.fmt_skips) == (3, 1)


def test_modules_that_import_each_other_are_one_circle() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}
    assert HOUSE["circles"](graph) == [["b", "c"]]


def test_the_longest_chain_counts_a_circle_once() -> None:
    graph = {"a": {"b", "d"}, "b": {"c"}, "c": {"b", "d"}, "d": {"e"}, "e": set()}
    assert HOUSE["longest_chain"](graph) == ["a", "b", "d", "e"]


def test_an_import_for_type_checkers_does_not_count(tmp_path: Path) -> None:
    package = tmp_path / "house"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "up.py").write_text("def f():\n    from house import down\n")
    (package / "down.py").write_text("if TYPE_CHECKING:\n    from house.up import f\n")
    assert HOUSE["import_graph"](package) == {
        "house": set(),
        "house.up": {"house.down"},
        "house.down": set(),
    }
