"""A new OpenAI-compatible back end is registered by its name alone, as the README promises."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aigc_kit import ChatClient, errors
from aigc_kit.chat import client as registry
from aigc_kit.sandbox import Sandbox
from tests.vendor import ASK, read

NAMES = ["mistral", "my-gateway"]


@pytest.fixture
def registered() -> Iterator[None]:
    added = [name for name in NAMES if name not in registry.compat_providers]
    registry.compat_providers.update(added)
    yield
    for name in added:
        registry.compat_providers.discard(name)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_compat_providers_is_enough_to_chat(name: str, sandbox: Sandbox) -> None:
    """
    Plain and streamed, under that name.

    Source: README.zh-CN.md, the section on new chat providers.
    """
    with ChatClient(name, model="mistral-large", **sandbox.chat_options("openai_compat")) as chat:
        plain, streamed = chat.chat(ASK), read(chat.chat_stream(ASK))
    assert [plain.provider, streamed.provider] == [name, name]
    assert plain.content
    assert streamed.content


def test_openai_compat_keeps_its_own_name(sandbox: Sandbox) -> None:
    with ChatClient("openai_compat", model="m", **sandbox.chat_options("openai_compat")) as chat:
        assert chat.chat(ASK).provider == "openai_compat"


def test_a_name_that_is_not_registered_is_unknown(sandbox: Sandbox) -> None:
    with pytest.raises(errors.UnknownProviderError, match="nobody"):
        ChatClient("nobody", model="m", **sandbox.chat_options("openai_compat"))
