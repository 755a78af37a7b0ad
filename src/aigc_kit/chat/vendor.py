"""What a row about a back end can say: the facts of ``chat/completions``."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from aigc_kit.chat import models
from aigc_kit.transport import codes
from aigc_kit.transport.failures import Judge
from aigc_kit.vendors import ACCOUNTS, Account


@dataclass(frozen=True, eq=False, repr=False)
class Vendor(Account):
    """
    One back end: an account of ``aigc_kit.vendors``, and how it chats. Members that name models are
    patterns.

    - ``home``: the row whose host it is, where that is not its own.
    - ``json_schema``: models with native JSON schema; the others get ``json_object`` and the schema
      in the system prompt.
    - ``json_while_thinking``: whether either may go with thinking; ``json_with_tools``: with tools
      or in a stream; ``json_object``: whether any JSON can be asked for without a schema.
    - ``schema_in_prompt``: it is said there beside a native one too.
    - ``openai_rules``: whether OpenAI's models keep the rules of OpenAI's own endpoint; ``files``:
      whether messages may have any.
    - ``schema_dialect``: ``"mfjs"`` is Moonshot's; ``"inlined"`` has no ``$ref``, for tools alone.
    - ``echo_reasoning``: models that want ``reasoning_content`` on every assistant turn once tools
      are in the request; ``reasoning_pad`` stands where there is none.
    - ``thinking``: how the wish is sent: ``"passed"``, ``"type"`` (no budget), ``"adaptive"`` (the
      same, whose word for on is that), ``"effort"``, ``"enable_thinking"``, ``"template"``
      (``chat_template_kwargs``), ``"reasoning"``, ``"reasoning switch"`` (no budget) or
      ``"prompt mode"``.
    - ``always_thinks``, ``thinks_by_default``, ``thinks_streaming_only``: models.
    - ``forced_choice``: ``"passed"``, ``"auto only"``, ``"auto or none"`` or ``"not while thinking"``;
      ``no_forced_choice``: models that refuse it.
    - ``renamed``: (parameter, the vendor's name of it).
    - ``refused``: (models, parameters) that are left out with a warning;
      ``refused_while_reasoning``: likewise, unless the effort is none, or is not said and the model
      one of ``reasons_when_asked``.
    - ``one_sampling``: models that take either ``temperature`` or ``top_p``.
    - ``efforts``: (models, ``reasoning_effort`` lowest first).
    - ``no_tools``, ``tools_without_effort``: models.
    - ``message_fields``: fields of a message that are the vendor's own; ``passes_fields``: any
      field is sent (relays).
    - ``cache_control``: whether marks on text parts are understood.
    - ``tool_name``, ``call_id``: what is accepted.
    - ``one_system``: all system messages become one at the front; ``names``: whether turns that are not
      of tools may have a name; ``ends_tools``: an assistant turn must be behind results of tools;
      ``strict_tools``: whether tools may say ``strict``.
    - ``no_prefill``: models that refuse a history that ends with the assistant (unless the turn says
      ``prefix``).
    - ``responses_only``, ``responses_with_tools``, ``responses_with_effort``: models that chat
      completions refuse, refuse tools for unless the effort is none, or refuse tools for when an
      effort is asked for; they go to ``/responses``.
    - ``encrypted_reasoning``: whether ``/responses`` gives reasoning to send back;
      ``reasoning_ids``: whether with its id.
    - ``stream_usage``: whether ``stream_options`` are sent.
    """

    model: str = ""
    home: str = ""
    max_tokens: str = "max_tokens"
    both_max_tokens: bool = False
    json_schema: str = ".*"
    json_while_thinking: bool = True
    json_with_tools: bool = True
    json_object: bool = True
    schema_in_prompt: bool = False
    schema_dialect: str = ""
    echo_reasoning: str = ""
    reasoning_pad: str = ""
    empty_tool_result: str = ""
    thinking: str = "passed"
    always_thinks: str = ""
    thinks_by_default: str = ""
    thinks_streaming_only: str = ""
    forced_choice: str = "passed"
    no_forced_choice: str = ""
    efforts: tuple[tuple[str, tuple[str, ...]], ...] = ()
    no_tools: str = ""
    tools_without_effort: str = ""
    renamed: tuple[tuple[str, str], ...] = ()
    refused: tuple[tuple[str, tuple[str, ...]], ...] = ()
    refused_while_reasoning: str = ""
    reasons_when_asked: str = ""
    one_sampling: str = ""
    ignored_while_thinking: tuple[str, ...] = ()
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    openai_rules: bool = True
    image_addresses: bool = True
    files: bool = True
    bare_base64: bool = False
    keeps_developer: bool = False
    message_fields: tuple[str, ...] = ()
    passes_fields: bool = False
    cache_control: bool = False
    tool_name: str = r"[a-zA-Z0-9_-]{1,64}"
    call_id: str = ""
    one_system: bool = False
    names: bool = True
    ends_tools: bool = False
    strict_tools: bool = True
    no_prefill: str = ""
    stream_usage: bool = True
    responses_only: str = ""
    responses_with_tools: str = ""
    responses_with_effort: str = ""
    encrypted_reasoning: bool = True
    reasoning_ids: bool = True
    judge: Judge = codes.openai

    def matches(self, pattern: str, model: str) -> bool:
        return models.matches(pattern, model)

    def refuses_sampling(self, model: str, effort: Any, otherwise: str = "") -> bool:
        """
        Whether the model reasons with this effort (None: not said), and takes no sampling
        parameters then.

        Args:
            otherwise: models that do, where the row names none.
        """
        if effort == "none" or (effort is None and self.matches(self.reasons_when_asked, model)):
            return False
        return self.matches(self.refused_while_reasoning or otherwise, model)


SAMPLING = (
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
)

OPENAI_MODEL: dict[str, Any] = {
    "max_tokens": "max_completion_tokens",
    "thinking": "effort",
    "efforts": models.OPENAI_EFFORTS,
    "no_tools": models.OPENAI_NO_TOOLS,
    "tools_without_effort": models.OPENAI_TOOLS_WITHOUT_EFFORT,
    "refused_while_reasoning": models.OPENAI_REASONING,
    "reasons_when_asked": models.OPENAI_REASONING_WHEN_ASKED,
    "refused": ((r"gpt-6-astra.*", ("stop",)),),
    "keeps_developer": True,
}
OPENAI_RESPONSES: dict[str, Any] = {
    "responses_only": models.OPENAI_RESPONSES_ONLY,
    "responses_with_tools": models.OPENAI_RESPONSES_WITH_TOOLS,
    "responses_with_effort": models.OPENAI_RESPONSES_WITH_EFFORT,
}


def row(name: str, model: str, **facts: Any) -> Vendor:
    """A vendor's row: where it is, and what is true of its chat."""
    account = {each.name: getattr(ACCOUNTS[name], each.name) for each in fields(Account)}
    return Vendor(model=model, **account, **facts)
