"""Sizes: the vendors' tables, the user's rule, and that no input gives an illegal size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc_kit.errors import ConfigurationError, InvalidInputError
from aigc_kit.image import sizes
from aigc_kit.image.sizes import (
    FAMILIES,
    canvas_of,
    family_of,
    fit_gemini,
    fit_seedream,
    is_legal,
    parse,
)

# Input, then the nearest legal size of 3.0, 4.0, 4.5, 5.0-lite, 5.0-pro and 5.0-flash.
# Source: the limits of BytePlus ModelArk 1541523, worked out over 240,000 random inputs,
# 2026-11-22.
NEAREST = """
1024x1024  1024x1024 1024x1024 1920x1920 1920x1920 1024x1024
1920x1080  1920x1080 1920x1080 2560x1440 2560x1440 1920x1080
512x512    512x512   960x960   1920x1920 1920x1920 960x960
1080x1920  1080x1920 1080x1920 1440x2560 1440x2560 1080x1920
3000x1000  2046x682  3000x1000 3330x1110 3330x1110 3000x1000
4096x4096  2048x2048 4096x4096 4096x4096 4096x4096 2150x2150
8000x8000  2048x2048 4096x4096 4096x4096 4096x4096 2150x2150
2048x1024  2048x1024 2048x1024 2716x1358 2716x1358 2048x1024
100x1600   512x2048  240x3840  480x7680  480x7680  240x3840
10000x500  2048x512  8952x560  8952x560  8952x560  8594x538
2048x2048  2048x2048 2048x2048 2048x2048 2048x2048 2048x2048
6240x2656  2044x870  6240x2656 6240x2656 6240x2656 3294x1402
1280x720   1280x720  1280x720  2560x1440 2560x1440 1280x720
1500x1001  1500x1001 1500x1001 2356x1572 2356x1572 1500x1001
1x1        512x512   960x960   1920x1920 1920x1920 960x960
20000x1    2048x512  3840x240  7680x480  7680x480  3840x240
"""
GEMINI = """
1024x1024 1:1 1:1/1K 1:1/1K 1:1/1K
512x512 1:1 1:1/1K 1:1/512 1:1/1K
256x256 1:1 1:1/1K 1:1/512 1:1/1K
1536x1024 3:2 3:2/1K 3:2/1K 3:2/1K
1024x1536 2:3 2:3/1K 2:3/1K 2:3/1K
1792x1024 16:9 16:9/2K 16:9/2K 16:9/2K
1024x1792 9:16 9:16/2K 9:16/2K 9:16/2K
1280x720 16:9 16:9/1K 16:9/1K 16:9/1K
1920x1080 16:9 16:9/2K 16:9/2K 16:9/2K
1080x1920 9:16 9:16/2K 9:16/2K 9:16/2K
2560x1440 16:9 16:9/2K 16:9/2K 16:9/2K
3840x2160 16:9 16:9/4K 16:9/4K 16:9/4K
2048x2048 1:1 1:1/2K 1:1/2K 1:1/2K
4096x4096 1:1 1:1/4K 1:1/4K 1:1/4K
800x600 4:3 4:3/1K 4:3/1K 4:3/1K
1080x1350 4:5 4:5/1K 4:5/1K 4:5/1K
2560x1080 21:9 21:9/2K 21:9/2K 21:9/2K
896x1280 3:4 3:4/1K 3:4/1K 3:4/1K
1344x768 16:9 16:9/1K 16:9/1K 16:9/1K
792x168 21:9 21:9/1K 21:9/512 4:1/1K
1024x4096 9:16 9:16/2K 1:4/2K 1:4/2K
600x2400 9:16 9:16/1K 1:4/1K 1:4/1K
"""
MODELS = (
    "gemini-2.5-flash-image",
    "gemini-3-pro-image",
    "gemini-3.1-flash-image",
    "gemini-nano-banana-2.1",
)


def rows(table: str) -> list[list[str]]:
    return [line.split() for line in table.strip().splitlines()]


@pytest.mark.parametrize("row", rows(NEAREST), ids=lambda row: row[0])
def test_the_nearest_legal_size_of_every_family(row: list[str]) -> None:
    """The table of worked examples, for all six families."""
    width, height = map(int, row[0].split("x"))
    for name, expected in zip(
        ("3.0", "4.0", "4.5", "5.0-lite", "5.0-pro", "5.0-flash"), [*row[1:], row[5]], strict=True
    ):
        wide, high = sizes.nearest_legal(width, height, FAMILIES[name])
        assert f"{wide}x{high}" == expected, name


@pytest.mark.parametrize("row", rows(GEMINI), ids=lambda row: row[0])
def test_ratio_and_tier_of_every_gemini_model(row: list[str]) -> None:
    """The table of worked examples, for four kinds of model."""
    for model, expected in zip(MODELS, row[1:], strict=True):
        ratio, tier, _ = fit_gemini(parse(row[0]), canvas_of(model))
        assert "/".join(filter(None, (ratio, tier))) == expected, model


@pytest.mark.parametrize("family", ["4.5", "5.0-lite"])
@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("1024x1024", "2048x2048"),
        ("1920x1080", "3641x2048"),
        ("1080x1920", "2048x3641"),
        ("2560x1440", "3641x2048"),
        ("2048x2048", "2048x2048"),
        ("3000x1000", "6144x2048"),
        ("4000x1000", "8192x2048"),
        ("100x1600", "480x7680"),
        ("4096x4096", "4096x4096"),
    ],
)
def test_the_floor_of_the_default_family(family: str, asked: str, sent: str) -> None:
    """Both sides are enlarged to 2048, ratio kept, unless the model's limits forbid it."""
    assert fit_seedream(parse(asked), FAMILIES[family])[0] == sent


sides = st.integers(1, sizes.MAX_SIDE)


@given(sides, sides, st.sampled_from([name for name in FAMILIES if name != "seededit-3.0"]))
def test_every_size_becomes_legal(width: int, height: int, name: str) -> None:
    """
    Always legal, never changed twice, ratio kept within a percent where the family allows the ratio
    at all.
    """
    family = FAMILIES[name]
    wide, high = sizes.nearest_legal(width, height, family)
    assert is_legal(wide, high, family)
    assert sizes.nearest_legal(wide, high, family) == (wide, high)
    sent, _ = fit_seedream(parse(f"{width}x{height}"), family)
    floored = parse(sent)
    assert is_legal(floored.width, floored.height, family)
    limit = family.max_ratio
    ratio = min(max(width / height, 1 / limit), limit)
    assert abs(floored.width / floored.height / ratio - 1) < 0.01
    if family.side_floor and is_legal(
        family.side_floor, round(family.side_floor * max(ratio, 1 / ratio)), family
    ):
        assert (
            min(floored.width, floored.height) >= family.side_floor
            or max(ratio, 1 / ratio) == limit
        )


@given(sides, sides, st.sampled_from([name for name in FAMILIES if name != "seededit-3.0"]))
def test_exact_sends_untouched_or_names_the_nearest(width: int, height: int, name: str) -> None:
    """A legal size passes as it is; an illegal one is refused with a size that is legal."""
    family = FAMILIES[name]
    try:
        sent, warnings = fit_seedream(parse(f"{width}x{height}"), family, policy="exact")
    except InvalidInputError as error:
        assert not is_legal(width, height, family)
        named = parse(str(error).rsplit("'", 2)[1])
        assert is_legal(named.width, named.height, family)
    else:
        assert (sent, warnings) == (f"{width}x{height}", [])
        assert is_legal(width, height, family)


@given(sides, sides, st.sampled_from([*MODELS, "gemini-3.1-flash-lite-image", "gemini-9-image"]))
def test_gemini_gets_what_its_model_has(width: int, height: int, model: str) -> None:
    """Ratio and tier always come from the model's own lists."""
    canvas = canvas_of(model)
    ratio, tier, _ = fit_gemini(parse(f"{width}x{height}"), canvas)
    assert ratio in canvas.ratios
    assert tier in (canvas.tiers or ("",))


@pytest.mark.parametrize("text", ["1024x768", "1024X768", "1024*768", "1024×768", " 1024 x 768 "])
def test_separators(text: str) -> None:
    """Every spelling in use is read, and an ASCII x is sent."""
    assert fit_seedream(parse(text), None) == ("1024x768", [])


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "big",
        "0x100",
        "100x0",
        "1024",
        "-1x5",
        "1e3x5",
        "1024x",
        "x",
        "0:1",
        "5K",
        "٣x٣",
        "999999x1",
        None,
        5,
        (1, 2),
    ],
)
def test_what_is_no_size_is_refused(bad: object) -> None:
    """The message repeats the value and shows all three spellings."""
    with pytest.raises(InvalidInputError, match="expected 'WIDTHxHEIGHT'") as caught:
        parse(bad)
    assert repr(bad) in str(caught.value)


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("doubao-seedream-4-5-251128", "4.5"),
        ("seedream-4-5-251128", "4.5"),
        ("dola-seedream-5-0-pro-260628", "5.0-pro"),
        ("doubao-seedream-5-0-pro-260628", "5.0-pro"),
        ("doubao-seedream-5-0-flash-260915", "5.0-flash"),
        ("doubao-seedream-5-0-260128", "5.0-lite"),
        ("doubao-seedream-5-0-lite-260128", "5.0-lite"),
        ("byteplus/seedream-4-0-250828", "4.0"),
        ("doubao-seedream-3-0-t2i-250415", "3.0"),
        ("doubao-seededit-3-0-i2i-250628", "seededit-3.0"),
        ("doubao-seedream-5-5-261028", None),
        ("ep-20251128-abcde", None),
        ("doubao-seedream-50-1", None),
    ],
)
def test_families_are_told_from_ids(model: str, family: str | None) -> None:
    """With each prefix; the longer name before the shorter; nothing is guessed."""
    found = family_of(model)
    assert (found.name if found else None) == family


def test_an_explicit_family_wins() -> None:
    """``ep-...`` ids say nothing by themselves."""
    assert family_of("ep-1", "4.0") is FAMILIES["4.0"]
    with pytest.raises(ConfigurationError, match="family must be one of"):
        family_of("ep-1", "6.0")


@pytest.mark.parametrize(
    ("asked", "family", "sent"),
    [
        ("2K", "4.5", "2K"),
        ("2k", "4.5", "2K"),
        ("1K", "4.5", "2K"),
        ("1.5K", "5.0-pro", "1.5K"),
        ("3K", "5.0-lite", "3K"),
        ("4K", "5.0-flash", "2K"),
        ("2K", "3.0", "2048x2048"),
        ("1K", "3.0", "1024x1024"),
        ("16:9", "4.5", "2848x1600"),
        ("9:16", "4.5", "1600x2848"),
        ("16:9", "5.0-pro", "2816x1584"),
        ("1:1", "4.0", "2048x2048"),
        ("4:3", "5.0-lite", "2304x1728"),
        ("21:9", "4.5", "3136x1344"),
        ("5:4", "4.5", "2290x1832"),
        ("adaptive", "seededit-3.0", "adaptive"),
        ("1024x1024", "seededit-3.0", "adaptive"),
        ("auto", "4.5", "2K"),
    ],
)
def test_tiers_and_ratios_become_the_vendors_own_sizes(asked: str, family: str, sent: str) -> None:
    """Presets where the family has them, the recommended pixels for a ratio."""
    assert fit_seedream(parse(asked), FAMILIES[family])[0] == sent


def test_changes_are_told() -> None:
    """A changed size gives a warning with both; an unchanged one gives none."""
    _, warnings = fit_seedream(parse("1024x1024"), FAMILIES["4.5"])
    assert warnings[0]["feature"] == "size"
    assert "1024x1024 was sent as 2048x2048" in warnings[0]["details"]
    assert fit_seedream(parse("2K"), FAMILIES["4.5"])[1] == []
    assert fit_gemini(parse("1376x768"), canvas_of("gemini-3-pro-image")) == ("16:9", "1K", [])
    assert (
        "2752x1536"
        in fit_gemini(parse("1920x1080"), canvas_of("gemini-3-pro-image"))[2][0]["details"]
    )


@pytest.mark.parametrize(
    ("asked", "family"),
    [("1K", "4.5"), ("2K", "3.0"), ("20:1", "4.5"), ("2048x2048", "seededit-3.0")],
)
def test_exact_refuses_what_the_family_lacks(asked: str, family: str) -> None:
    """Tiers, ratios and pixels alike."""
    with pytest.raises(InvalidInputError, match=f"Seedream {family}"):
        fit_seedream(parse(asked), FAMILIES[family], policy="exact")


@pytest.mark.parametrize(
    ("asked", "model", "nearest"),
    [
        ("1024x1000", "gemini-3-pro-image", "1024x1024"),
        ("512", "gemini-3-pro-image", "1K"),
        ("5:3", "gemini-3-pro-image", "16:9"),
    ],
)
def test_exact_on_gemini(asked: str, model: str, nearest: str) -> None:
    """What the model does not make is refused with what it makes."""
    with pytest.raises(InvalidInputError, match=nearest):
        fit_gemini(parse(asked), canvas_of(model), policy="exact")


@pytest.mark.parametrize(
    ("asked", "model", "expected"),
    [
        ("2K", "gemini-3-pro-image", ("", "2K")),
        ("2K", "gemini-2.5-flash-image", ("", "")),
        ("16:9", "gemini-2.5-flash-image", ("16:9", "")),
        ("1:3", "gemini-3-pro-image", ("9:16", "")),
        ("auto", "gemini-3-pro-image", ("", "")),
        ("4K", "gemini-3.1-flash-lite-image", ("", "1K")),
        ("0.5K", "gemini-3.1-flash-image", ("", "512")),
    ],
)
def test_gemini_tiers_and_ratios(asked: str, model: str, expected: tuple[str, str]) -> None:
    """A tier alone sends no ratio, a ratio alone no tier; models without tiers get none."""
    assert fit_gemini(parse(asked), canvas_of(model))[:2] == expected


def test_unknown_gemini_models_get_the_common_set() -> None:
    """With any resource prefix, known ones are found; preview names are their family."""
    assert canvas_of("gemini-10-image") is sizes.COMMON_CANVAS
    assert (
        canvas_of("publishers/google/models/gemini-2.5-flash-image")
        is sizes.CANVASES["gemini-2.5-flash-image"]
    )
    assert canvas_of("gemini-3-pro-image-preview") is sizes.CANVASES["gemini-3-pro-image"]


def test_policies_are_checked() -> None:
    """Only two exist."""
    with pytest.raises(ConfigurationError, match="'nearest' or 'exact'"):
        sizes.check_policy("closest")


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("doubao-seedream-4-5-251128", "4.5"),
        ("doubao-seedream-4.5", "4.5"),
        ("seedream-4.5", "4.5"),
        ("bytedance/seedream-4.5", "4.5"),
        ("volcengine/doubao-seedream-4-5-251128", "4.5"),
        ("Doubao-Seedream-4.5", "4.5"),
        ("fal-ai/bytedance/seedream/v4/edit", "4.0"),
        ("bytedance/seedream-4", "4.0"),
        ("seedream_4_5", "4.5"),
        ("seedream-5.0-lite", "5.0-lite"),
        ("dola-seedream-5-0-pro-260628", "5.0-pro"),
        ("seedream-5-0-260128", "5.0-lite"),
        ("seedream-5.0-flash", "5.0-flash"),
        ("seedream-3-0-t2i-250415", "3.0"),
        ("seededit-3-0-i2i-250628", "seededit-3.0"),
        ("doubao-seedream-5-5-261028", None),
        ("ep-20250101", None),
        ("flux-4-5", None),
    ],
)
def test_relays_spell_models_in_their_own_way(model: str, family: str | None) -> None:
    """https://github.com/AFreeCoder/apipool-v2/issues/140"""
    found = sizes.family_of(model)
    assert (found.name if found else None) == family


@pytest.mark.parametrize(
    ("model", "same"),
    [
        ("google/gemini-3-pro-image-preview", "gemini-3-pro-image"),
        ("gemini-2.5-flash-image:free", "gemini-2.5-flash-image"),
        ("gemini-2-5-flash-image", "gemini-2.5-flash-image"),
        ("models/gemini-3.1-flash-image@001", "gemini-3.1-flash-image"),
        ("nano-banana", "gemini-2.5-flash-image"),
        ("nano-banana-pro", "gemini-3-pro-image"),
        ("nano-banana-2", "gemini-3.1-flash-image"),
        ("nano-banana-2.1", "gemini-nano-banana-2.1"),
    ],
)
def test_relays_spell_gemini_in_their_own_way(model: str, same: str) -> None:
    assert sizes.canvas_of(model) is sizes.CANVASES[same]


def test_rules_that_nobody_knows_are_told() -> None:
    """An endpoint of one's own is not a model that anybody could know."""
    size = sizes.parse("640x480")
    assert sizes.fit_seedream(size, None) == ("640x480", [])
    sent, (warning,) = sizes.fit_seedream(size, None, own_endpoint=False)
    assert (sent, warning["feature"]) == ("640x480", "size")
