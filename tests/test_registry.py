"""The registry of both wings."""

from __future__ import annotations

import pytest

from aigc_kit import errors
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
