"""The application's own tests, with the fixtures of the plugin."""

import pytest
import shop


def test_a_description(aigc_sandbox):
    aigc_sandbox.reply("A fine teapot.")
    assert shop.describe("a teapot") == "A fine teapot."
    aigc_sandbox.assert_requested("/deepseek/", body={"model": "deepseek-flash"}, times=1)


def test_each_test_begins_anew(aigc_sandbox):
    aigc_sandbox.assert_nothing_requested()
    assert shop.describe("a teapot") == "You said: Describe a teapot"


def test_another_sdk_goes_there_too(aigc_sandbox):
    assert shop.translate("茶壶") == "You said: Translate: 茶壶"


def test_an_image_is_stored(aigc_sandbox, aigc_storage):
    assert shop.draw("一把茶壶", aigc_storage).startswith("file://")


@pytest.mark.aigc_no_network
def test_the_sandbox_is_no_other_host(aigc_sandbox):
    assert shop.describe("a teapot")


@pytest.mark.aigc_no_network
def test_a_real_vendor_is_not_reached():
    shop.call_home()
