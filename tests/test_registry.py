"""The registry of both wings."""

from __future__ import annotations

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
