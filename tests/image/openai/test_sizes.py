"""Sizes of OpenAI's models and of those who copied its API."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc_kit.errors import InvalidInputError
from aigc_kit.image import sizes
from aigc_kit.image.grids import ANY, Grid, fit, fit_ratio, nearest
from aigc_kit.image.openai.models import CURRENT, MODELS, model_of
from aigc_kit.image.openai.sizes import COGVIEW, GLM_IMAGE, GPT_IMAGE, GPT_IMAGE_1, GROK
from aigc_kit.image.openai.vendors import VENDORS

GRIDS = {"gpt": GPT_IMAGE, "gpt 1": GPT_IMAGE_1, "glm": GLM_IMAGE, "cogview": COGVIEW, "any": ANY}


@pytest.mark.parametrize(
    ("size", "grid", "sent"),
    [
        ("1024x1024", GPT_IMAGE, "1024x1024"),
        ("1536x1024", GPT_IMAGE, "1536x1024"),
        ("3840x2160", GPT_IMAGE, "3840x2160"),
        ("16:9", GPT_IMAGE, "1280x720"),
        ("1K", GPT_IMAGE, "1024x1024"),
        ("2K", GPT_IMAGE, "2048x2048"),
        ("auto", GPT_IMAGE, "auto"),
        ("16:9", GPT_IMAGE_1, "1536x1024"),
        ("9:16", GPT_IMAGE_1, "1024x1536"),
        ("1:1", GLM_IMAGE, "1280x1280"),
        ("auto", GLM_IMAGE, ""),
        ("333x77", ANY, "333x77"),
    ],
)
def test_the_size_that_is_sent(size: str, grid: Grid, sent: str) -> None:
    assert fit(sizes.parse(size), grid, policy="nearest")[0] == sent


@pytest.mark.parametrize(
    ("size", "grid"),
    [
        ("1920x1080", GPT_IMAGE),
        ("512x512", GPT_IMAGE),
        ("4000x1000", GPT_IMAGE),
        ("4K", GPT_IMAGE),
        ("21:1", GPT_IMAGE),
        ("16:9", GPT_IMAGE_1),
        ("512x512", GLM_IMAGE),
    ],
)
def test_a_changed_size_is_a_warning_or_an_error(size: str, grid: Grid) -> None:
    """``"exact"`` refuses it, and names the size that ``"nearest"`` sends."""
    sent, warnings = fit(sizes.parse(size), grid, policy="nearest")
    assert [entry["feature"] for entry in warnings] == ["size"]
    with pytest.raises(InvalidInputError, match=sent):
        fit(sizes.parse(size), grid, policy="exact")


@pytest.mark.parametrize("name", GRIDS)
@given(
    size=st.one_of(
        st.builds("{}x{}".format, st.integers(1, 100_000), st.integers(1, 100_000)),
        st.builds("{}:{}".format, st.integers(1, 9999), st.integers(1, 9999)),
        st.sampled_from(["512", "0.5K", "1K", "1.5K", "2K", "3K", "4K"]),
    )
)
def test_whatever_is_asked_for_a_legal_size_is_found(name: str, size: str) -> None:
    grid = GRIDS[name]
    assert grid.takes(*nearest(sizes.parse(size), grid))


@given(
    size=st.one_of(
        st.builds("{}x{}".format, st.integers(1, 100_000), st.integers(1, 100_000)),
        st.builds("{}:{}".format, st.integers(1, 9999), st.integers(1, 9999)),
    )
)
def test_a_vendor_of_ratios_gets_one_that_it_has(size: str) -> None:
    ratio, tier, _ = fit_ratio(sizes.parse(size), GROK, policy="nearest")
    assert ratio in GROK.ratios
    assert tier in (*GROK.tiers, "")


def test_no_default_is_a_model_that_ends() -> None:
    """Neither the defaults of the rows nor the list of current models."""
    for name in (*CURRENT, *(vendor.model for vendor in VENDORS.values())):
        known = model_of(name)
        assert known is None or known.ends == ""
    assert VENDORS["openai"].model in CURRENT


def test_models_are_found_behind_the_prefix_of_a_relay() -> None:
    assert model_of("openai/gpt-image-2-2026-04-21") is MODELS["gpt-image-2"]
    assert model_of("gpt-image-2.5-flare-2026-09-08") is MODELS["gpt-image-2.5"]
    assert model_of("my-deployment") is None
    assert model_of("my-deployment", "gpt-image-2") is MODELS["gpt-image-2"]
