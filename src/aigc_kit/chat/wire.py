"""One endpoint of an OpenAI-compatible back end: two pure conversions around a path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from aigc_kit.chat.assembler import Assembler
from aigc_kit.chat.call import Call
from aigc_kit.chat.streaming import Reader
from aigc_kit.chat.tool_names import ToolNames
from aigc_kit.chat.vendors import Vendor
from aigc_kit.transport.failures import RequestContext


class Request(Protocol):
    """A call in the words of the endpoint."""

    call: Call
    vendor: Vendor
    names: ToolNames
    body: dict[str, Any]
    warnings: list[dict[str, str]]


class BodyReader(Reader, Protocol):
    """A reader that takes a whole response too."""

    def whole(self, body: Mapping[str, Any]) -> None:
        """A whole response."""


class ToRequest(Protocol):
    def __call__(
        self,
        call: Call,
        turns: list[dict[str, Any]],
        vendor: Vendor,
        *,
        stream: bool,
        fetch: Callable[[str], str],
        origin: str,
    ) -> Any: ...


@dataclass(frozen=True)
class Wire:
    """
    ``path``: below the base URL. ``request``: a call -> its request. ``reader``: (request,
    assembler, context, origin) -> the reader of its response. ``origin``: what stands before the
    back end's mark on its turns, for the state of one endpoint means nothing to the other.
    """

    path: str
    request: ToRequest
    reader: Callable[[Any, Assembler, RequestContext, str], BodyReader]
    origin: str = ""


def api_of(call: Call, facts: Vendor, chosen: str | None) -> str:
    """
    Which endpoint serves this call: the one that was chosen, else ``"responses"`` where chat
    completions would refuse the tools or the effort, else ``"chat"``.

    Source: openai_responses table of pydantic-ai-slim 2.68 (``profiles/openai.py``) and litellm
    1.110.2 (``responses/bridge_check.py``), read 2026-11-25.
    """
    if chosen is not None:
        return chosen
    effort = call.extra_body.get("reasoning_effort", call.extra.get("reasoning_effort"))
    thinking = call.extra.get("thinking")
    is_off = effort == "none" or (
        effort is None and isinstance(thinking, Mapping) and thinking.get("type") == "disabled"
    )
    if facts.matches(facts.responses_only, call.rules):
        return "responses"
    if facts.responses_with_tools and effort == "max":
        return "responses"
    if call.tools and facts.matches(facts.no_tools, call.rules) and facts.responses_with_tools:
        return "responses"
    opted_in = effort is not None or (isinstance(thinking, Mapping) and not is_off)
    if (
        call.tools
        and opted_in
        and not is_off
        and facts.matches(facts.responses_with_effort, call.rules)
    ):
        return "responses"
    reasons = facts.matches(facts.responses_with_tools, call.rules)
    return "responses" if call.tools and reasons and not is_off else "chat"
