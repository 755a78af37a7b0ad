"""A new OpenAI-compatible back end is registered by its name alone, as the README promises."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aigc_kit import ChatClient, errors
from aigc_kit.chat import client as registry
from aigc_kit.chat.vendors import VENDORS, facts
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


@pytest.mark.parametrize(
    ("name", "base_url", "refused"),
    [
        ("openai", "https://api.openai.com/v1", True),
        ("azure", "https://a.openai.azure.com/openai/v1", True),
        ("openai", "https://relay.example/v1", False),
        ("openai_compat", "https://relay.example/v1", False),
    ],
)
def test_only_openais_own_hosts_refuse_tools_of_a_flagship(
    name: str, base_url: str, refused: bool
) -> None:
    """A relay may translate the request itself."""
    found = facts(VENDORS[name], base_url=base_url, model="gpt-6.2-sol")
    assert bool(found.no_tools) is refused
