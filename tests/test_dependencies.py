"""
Dependencies: what the package imports is what pyproject.toml declares, and the gate installs it by
hash.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import Distribution, distributions
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
CORE: list[str] = PROJECT["project"]["dependencies"]
EXTRAS = list(chain.from_iterable(PROJECT["project"]["optional-dependencies"].values()))
GROUPS = list(chain.from_iterable(PROJECT["dependency-groups"].values()))
BACKEND: list[str] = PROJECT["build-system"]["requires"]
PINS = [ROOT / ".ci" / "constraints.txt", ROOT / ".ci" / "uv.txt"]


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in requirements}


def imported_modules(tree: ast.Module) -> set[str]:
    """
    Dotted names that a module imports, also inside functions; ``from a import b`` names ``a`` and
    ``a.b``.
    """
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            first = node.args[0]
            if isinstance(first, ast.Constant):
                found.add(str(first.value))
    return {
        name for name in found if name.split(".")[0] not in {*sys.stdlib_module_names, "aigc_kit"}
    }


def owners() -> dict[str, str]:
    """
    Which distribution brings a module. ``google`` is shared by several, so every module counts, not
    the first part.
    """
    found: dict[str, str] = {}
    for distribution in distributions():
        found |= dict.fromkeys(
            modules_of(distribution), canonicalize_name(distribution.metadata["Name"])
        )
    return found


def modules_of(distribution: Distribution) -> list[str]:
    parts = [
        file.with_suffix("").parts for file in distribution.files or () if file.suffix == ".py"
    ]
    return [".".join(part[:-1] if part[-1] == "__init__" else part) for part in parts]


def imported_distributions(source: Path) -> dict[str, set[str]]:
    """
    Distribution -> the files below ``source`` that import it. An optional one that is not installed
    is its module.
    """
    owner = owners()
    installed = {module.split(".")[0] for module in owner}
    found: dict[str, set[str]] = {}
    for path in sorted(source.rglob("*.py")):
        for module in imported_modules(ast.parse(path.read_text("utf-8"))):
            root = module.split(".")[0]
            name = owner.get(module) if root in installed else canonicalize_name(root)
            if name:
                found.setdefault(name, set()).add(path.relative_to(source).as_posix())
    return found


def test_every_import_of_the_package_is_declared_and_every_dependency_is_imported() -> None:
    """
    A dependency of a dependency may leave with its next release, and one that nothing imports costs
    an install.
    """
    imported = imported_distributions(ROOT / "src" / "aigc_kit")
    declared = names(CORE + EXTRAS)
    assert {name: files for name, files in imported.items() if name not in declared} == {}
    assert declared - set(imported) == set()


def test_an_import_inside_a_function_counts(tmp_path: Path) -> None:
    """The SDKs are imported where they are used, so the search must look there."""
    (tmp_path / "lazy.py").write_text(
        "def f():\n    from google.oauth2 import credentials\n    import_module('pytest')\n    import json, missing.part\n"
    )
    assert imported_distributions(tmp_path) == {
        "google-auth": {"lazy.py"},
        "pytest": {"lazy.py"},
        "missing": {"lazy.py"},
    }


def pinned(text: str) -> dict[str, list[str]]:
    """
    Name -> versions; a package has two versions where they depend on the Python that installs it.
    """
    found: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", text, re.MULTILINE):
        found.setdefault(canonicalize_name(name), []).append(version)
    return found


@pytest.mark.parametrize("path", PINS, ids=lambda path: str(path.name))
def test_pins_name_no_registry_and_every_requirement_has_a_hash(path: Path) -> None:
    """Who installs chooses the registry, and the hashes say that it served the same bytes."""
    text = path.read_text("utf-8")
    assert re.findall(r"://|\S*index\S*url|find-links|^#.*", text, re.MULTILINE) == []
    entries = re.split(r"\n(?=\S)", text.rstrip("\n"))
    assert [entry for entry in entries if not re.search(r"--hash=sha256:[0-9a-f]{64}", entry)] == []
    assert len(entries) == sum(map(len, pinned(text).values()))


@pytest.mark.parametrize("text", CORE + EXTRAS + GROUPS + BACKEND)
def test_every_requirement_is_pinned_to_a_version_that_it_allows(text: str) -> None:
    """``.ci/pin`` was run after the requirement was written."""
    requirement = Requirement(text)
    versions = pinned((ROOT / ".ci" / "constraints.txt").read_text("utf-8"))
    assert versions[canonicalize_name(requirement.name)], (
        f"{requirement.name} is missing: run .ci/pin"
    )
    assert all(
        requirement.specifier.contains(version)
        for version in versions[canonicalize_name(requirement.name)]
    )


def test_the_gate_changes_no_python_but_its_own() -> None:
    """
    ``uv pip`` without ``--python`` may choose the system's Python, and ``sync`` removes every other
    package there.
    """
    lines = [
        line
        for line in (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
        if line.startswith("uv pip ")
    ]
    assert lines
    assert all('--python "$python"' in line for line in lines)
    assert any(
        line.startswith("python3 -m pip install") and '--target "$tools"' in line
        for line in _joined()
    )


def _joined() -> list[str]:
    """The lines of ``.ci/run`` with continuations joined."""
    return (ROOT / ".ci" / "run").read_text("utf-8").replace("\\\n", " ").splitlines()


def test_plain_development_has_every_extra() -> None:
    """``uv run pytest`` installs the core and the group ``dev``, no extras; tests import these."""
    api = {"opentelemetry-api"}  # comes with its SDK
    assert names(EXTRAS) - api <= names(PROJECT["dependency-groups"]["dev"])
