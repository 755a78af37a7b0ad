"""
Siblings of a back end that is registered by its name alone: when, how it is spelled, and where its
name shows.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import pytest

from aigc_kit import ChatClient, errors
from aigc_kit.chat import client as registry
from tests.vendor import (
    ASK,
    TOOLS,
    Vendor,
    calling,
    completion,
    delta,
    error,
    events,
    outcome,
    read,
)

NAME = "my-gateway"


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """The name is added after another client was made, when every table is filled."""
    with Vendor(completion("ok")) as vendor:
        vendor.client().chat(ASK)
    registry.compat_providers.add(NAME)
    yield
    registry.compat_providers.discard(NAME)


@pytest.mark.parametrize("name", [NAME, "My-Gateway", " my-gateway "])
def test_a_name_that_is_added_late_is_known_in_every_spelling(name: str) -> None:
    with Vendor(completion("ok")) as vendor:
        assert vendor.client(name, model="m").chat(ASK).provider == NAME


def test_a_registered_name_takes_its_model_behind_a_colon() -> None:
    with Vendor(completion("ok")) as vendor:
        vendor.client(f"{NAME}:my-model").chat(ASK)
    assert vendor.body["model"] == "my-model"


def test_a_registered_name_is_in_its_errors() -> None:
    with Vendor(error(401, "bad key")) as vendor:
        result = outcome(lambda: vendor.client(NAME, model="m").chat(ASK))
    assert (type(result), result.provider) == (errors.AuthenticationError, NAME)


def test_a_registered_name_streams_and_runs_tools() -> None:
    with Vendor(calling(), completion("done"), events(delta("stop", content="ok"))) as vendor:
        chat = vendor.client(NAME, model="m")
        looped = chat.chat_with_tools(ASK, TOOLS, tool_executor=lambda name, text: "22")
        streamed = read(chat.chat_stream(ASK))
    assert [looped.provider, looped.content] == [NAME, "done"]
    assert [streamed.provider, streamed.content] == [NAME, "ok"]


def test_a_client_of_a_registered_name_survives_pickling() -> None:
    with Vendor(completion("ok")) as vendor:
        copy = pickle.loads(pickle.dumps(vendor.client(NAME, model="m")))
        with copy:
            assert copy.chat(ASK).provider == NAME


def test_a_registered_name_without_base_url_is_refused_with_the_option() -> None:
    with pytest.raises(errors.ConfigurationError, match="base_url"):
        ChatClient(NAME, api_key="k", model="m")


def test_a_name_that_was_taken_out_again_is_unknown() -> None:
    registry.compat_providers.discard(NAME)
    with pytest.raises(errors.UnknownProviderError, match=NAME):
        ChatClient(NAME, api_key="k", model="m", base_url="http://127.0.0.1:9/v1")


def test_a_name_of_a_row_keeps_its_row() -> None:
    """To add what is there already changes nothing."""
    registry.compat_providers.add("deepseek")
    with Vendor(completion("ok")) as vendor:
        vendor.client("deepseek").chat(ASK, max_completion_tokens=5)
    assert vendor.body["max_tokens"] == 5
