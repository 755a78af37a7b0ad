"""``region="intl"``: the vendor's API outside of China."""

from __future__ import annotations

import pytest

from aigc_kit import ChatClient, ImageClient, errors
from aigc_kit.chat.vendors import VENDORS

TWINS = [name for name, row in VENDORS.items() if row.international]


@pytest.mark.parametrize("name", TWINS)
def test_the_international_url_wins_over_the_variable_of_home(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in VENDORS[name].base_url_variables:
        monkeypatch.setenv(variable, "https://home.example.com/v1")
    with ChatClient(name, api_key="k", region="intl") as client:
        assert client.provider.base_url == VENDORS[name].international
    with ChatClient(
        name, api_key="k", region="intl", base_url="https://mine.example.com"
    ) as client:
        assert client.provider.base_url == "https://mine.example.com"


def test_a_vendor_without_one_says_so() -> None:
    with pytest.raises(errors.ConfigurationError, match="deepseek has no region='intl'"):
        ChatClient("deepseek", api_key="k", region="intl")


@pytest.mark.parametrize("region", ["us", "", 5])
def test_an_unknown_region_is_refused(region: object) -> None:
    with pytest.raises(errors.ConfigurationError, match="region must be 'cn' or 'intl'"):
        ChatClient("glm", api_key="k", region=region)


def test_images_of_byteplus_have_their_own_model_ids() -> None:
    with ImageClient("volcengine", api_key="k", region="intl") as client:
        assert client.provider.base_url == "https://ark.ap-southeast.bytepluses.com/api/v3"  # type: ignore[union-attr]
        assert client.provider.model == "seedream-4-5-251128"  # type: ignore[union-attr]
