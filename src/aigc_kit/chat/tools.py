"""The tool loop: ask, run what the model calls, tell it, ask again."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from aigc_kit.chat.base import ChatResult, Usage, warning
from aigc_kit.chat.messages import checked
from aigc_kit.errors import AIGCError, ConfigurationError, InvalidInputError, OutputTruncatedError, ToolLoopLimitError
from aigc_kit.settings import spelled


class ToolExecutor(Protocol):
    """Runs a tool. A text goes back to the model as it is, anything else as JSON."""

    def __call__(self, name: str, args_json: str, /) -> Any: ...


Ask = Callable[[list[dict[str, Any]]], ChatResult]


def run(
    ask: Ask, messages: Any, *, tools: list[dict[str, Any]], tool_executor: ToolExecutor, max_iterations: int,
    on_tool_error: str,
) -> ChatResult:  # fmt: skip
    """
    The model's final answer; its ``messages`` are the whole history, ready for the next ``chat``.

    Raises:
        ToolLoopLimitError: ``max_iterations`` answers in a row asked for tools.
        OutputTruncatedError: an answer was cut in the middle of its calls; they are not run.
    """
    if isinstance(max_iterations, bool) or not isinstance(max_iterations, int) or max_iterations < 1:
        raise InvalidInputError(f"max_iterations must be a whole number of at least 1, got {spelled(max_iterations)}")
    if on_tool_error not in ("tell", "raise"):
        raise ConfigurationError(f"on_tool_error must be 'tell' or 'raise', got {spelled(on_tool_error)}")
    if not callable(tool_executor):
        raise InvalidInputError(f"tool_executor must be callable, got {type(tool_executor).__name__}")
    turns: list[dict[str, Any]] = checked(messages)
    names = {tool["function"]["name"] for tool in tools if isinstance(tool.get("function"), Mapping)}
    usage, warnings = Usage(), list[dict[str, str]]()
    for _ in range(max_iterations):
        try:
            result = ask(turns)
        except AIGCError as failed:  # tools may have been run: what they said is not lost
            failed.messages = turns
            raise
        _add(usage, result.usage)
        turns = [*turns, result.message]
        result.messages = turns
        result.warnings[:0] = [entry for entry in warnings if entry not in result.warnings]
        warnings = list(result.warnings)
        if not result.has_tool_calls:
            result.usage = usage
            return result
        if result.finish_reason in ("length", "content_filter"):
            error = OutputTruncatedError(
                f"the answer was cut in the middle of its tool calls ({result.finish_reason}); they were not run: allow more"
                " max_tokens",
                content=result.content, provider=result.provider, model=result.model, request_id=result.request_id,
            )  # fmt: skip
            error.result = result
            raise error
        for call in result.tool_calls:
            text, failure = _outcome(call.name, call.arguments, names, tool_executor, on_tool_error)
            if failure:
                warnings.append(warning("tool", f"{call.name}: {failure}"))
            turns = [*turns, {"role": "tool", "tool_call_id": call.id, "content": text}]
    result.messages = turns
    raise ToolLoopLimitError(
        f"the model still asked for tools after {max_iterations} calls (max_iterations)", messages=turns, result=result,
        provider=result.provider, model=result.model, request_id=result.request_id,
    )  # fmt: skip


def _outcome(name: str, arguments: str, known: set[str], execute: ToolExecutor, on_error: str) -> tuple[str, str]:
    """(what the model is told, what went wrong)."""
    if name not in known:
        listed = ", ".join(sorted(known))
        return _error(
            f"there is no tool {name!r}; there are: {listed}"
        ), f"the model called a tool that does not exist: {name!r}"
    try:
        if not isinstance(json.loads(arguments), dict):
            raise ValueError("a JSON object was expected")
    except (ValueError, RecursionError) as error:
        return _error(f"the arguments are no JSON object: {error}"), f"the arguments are no JSON object: {error}"
    try:
        return valid(as_text(execute(name, arguments))), ""
    except Exception as error:
        if on_error == "raise":
            with contextlib.suppress(AttributeError):
                error.from_tool = True  # type: ignore[attr-defined]  # the edge lets it out as it is
            raise
        # Whatever a tool raises is news for the model, not the end of the conversation.
        try:
            said = str(error)
        except Exception:  # noqa: BLE001 - an exception that cannot even be shown
            said = ""
        detail = valid(f"{type(error).__name__}: {said}" if said else type(error).__name__)
        return _error(detail), detail


def valid(text: str) -> str:
    """The text with what is no Unicode (half a character, an undecodable file name) replaced."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _error(text: str) -> str:
    return json.dumps({"error": text[:2000]}, ensure_ascii=False)


def as_text(value: Any) -> str:
    """What a tool returned, as the text that goes back: a text as it is, bytes decoded, anything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, (bytes, bytearray)):
        try:
            return bytes(value).decode()
        except UnicodeDecodeError:
            return json.dumps({"base64": base64.b64encode(value).decode("ascii")})
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    return json.dumps(value, ensure_ascii=False, default=str)


def _add(total: Usage, more: Usage) -> None:
    for name in ("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "reasoning_tokens"):
        setattr(total, name, getattr(total, name) + getattr(more, name))
