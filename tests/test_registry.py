"""The registry of both wings."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aigc_kit import ChatClient, ImageClient, errors
from aigc_kit.chat.client import provider_names as chat_names
from aigc_kit.chat.vendors import VENDORS
from aigc_kit.image.client import provider_names as image_names
from aigc_kit.registry import Registry


def make() -> Registry:
    made = Registry("thing", "aigc_kit.no_such_group")
    made.fill([(("fraction", "ratio"), "fractions:Fraction"), (("lost",), "no.such.module:X")])
    return made


def test_a_module_is_imported_when_its_name_is_used() -> None:
    assert make().load(" Ratio ")("1/2").denominator == 2


def test_a_name_that_exists_is_replaced() -> None:
    registry = make()
    registry.add(["Ratio"], float)
    assert (registry.load("ratio"), registry.names()) == (float, ["fraction", "lost", "ratio"])
    registry.fill([(("ratio",), "again:X")])
    assert registry.load("ratio") is float


def test_aliases_stand_for_the_same() -> None:
    assert make().same_as("ratio") == {"fraction", "ratio"}


def test_an_unknown_name_lists_what_there_is_and_suggests() -> None:
    with pytest.raises(
        errors.UnknownProviderError, match=r"no thing 'fracton'.*did you mean 'fraction'"
    ):
        make().load("fracton")


def test_a_provider_that_cannot_be_imported_is_named() -> None:
    with pytest.raises(
        errors.ConfigurationError, match=r"thing 'lost' cannot be loaded from 'no.such.module:X'"
    ):
        make().load("lost")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """A package "acme-things" with providers of every kind, as pip leaves it."""
    info = tmp_path / "acme_things-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-things\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(
        "[aigc_kit.things]\n"
        "Good = acme_good:Outer.Inner [fast]\n"
        "syntax = acme_syntax:Thing\n"
        "raises = acme_raises:Thing\n"
        "missing = acme_good:Lost\n"
        "number = acme_good:NUMBER\n"
        "fraction = acme_raises:Thing\n"
        "empty = acme things:!\n"
    )
    (tmp_path / "acme_good.py").write_text("class Outer:\n    class Inner: pass\nNUMBER = 3\n")
    (tmp_path / "acme_syntax.py").write_text("def (:\n")
    (tmp_path / "acme_raises.py").write_text("raise RuntimeError('no licence')\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry("thing", "aigc_kit.things")
    registry.fill([(("fraction", "ratio"), "fractions:Fraction")])
    yield registry
    for name in ("acme_good", "acme_syntax", "acme_raises"):
        sys.modules.pop(name, None)


def test_an_installed_provider_is_loaded_at_first_use(installed: Registry) -> None:
    assert "good" in installed.families()
    assert "acme_good" not in sys.modules
    assert installed.load("GOOD").__qualname__ == "Outer.Inner"


def test_an_installed_package_does_not_take_the_name_of_a_vendor(installed: Registry) -> None:
    assert installed.families()["fraction"] == ["ratio"]
    assert installed.load("fraction")("1/2").denominator == 2


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("syntax", "SyntaxError: "),
        ("raises", "RuntimeError: no licence"),
        ("missing", "AttributeError: .*Lost"),
        ("number", "TypeError: expected a class or a function, got int"),
        ("empty", "Error: "),
    ],
)
def test_a_broken_plugin_is_named_with_its_package(
    installed: Registry, name: str, cause: str
) -> None:
    said = rf"thing '{name}' cannot be loaded from '.*' \(installed by acme-things 1.2: .*\): \w*{cause}"
    with pytest.raises(errors.ConfigurationError, match=said):
        installed.load(name)


def test_each_provider_is_listed_once_with_its_aliases() -> None:
    assert make().families() == {"fraction": ["ratio"], "lost": []}


@pytest.mark.parametrize("name", ["deepseek", "kimi", "bedrock"])
def test_a_vendor_that_chats_but_does_not_draw_is_told_so(name: str) -> None:
    said = (
        rf"no image provider '{name}'.*'{name}' chats but does not draw: use ChatClient\('{name}'\)"
    )
    with pytest.raises(errors.UnknownProviderError, match=said):
        ImageClient(name)


def test_a_vendor_that_draws_but_does_not_chat_is_told_so() -> None:
    with pytest.raises(errors.UnknownProviderError, match="'seedream' draws but does not chat"):
        ChatClient("seedream")


def test_a_misspelt_vendor_is_suggested() -> None:
    with pytest.raises(errors.UnknownProviderError, match="did you mean 'deepseek'"):
        ChatClient("deepseeek")


def test_the_names_of_both_wings_are_the_registered_ones() -> None:
    assert {
        "volcengine": ["doubao", "seedream", "ark"],
        "gemini": ["google"],
    }.items() <= image_names().items()
    assert chat_names()["glm"] == ["zai", "zhipu"]
    assert {*VENDORS, "gemini", "bedrock"} <= set(chat_names())
