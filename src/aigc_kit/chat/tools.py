"""
The tool loop: ask, run what the model calls, tell it, ask again. Plain and streamed by the same
sequence.
"""

from __future__ import annotations

import base64
import contextlib
import inspect
import json
import math
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol

from aigc_kit import tracing
from aigc_kit.chat import functions, json_text
from aigc_kit.chat.base import ChatChunk, ChatResult, Spent, ToolCall, ToolEvent, Usage, warning
from aigc_kit.chat.messages import checked, checked_tools
from aigc_kit.chat.parts import is_image, media_part
from aigc_kit.errors import (
    AIGCError,
    ConfigurationError,
    InvalidInputError,
    OutputTruncatedError,
    StreamInterruptedError,
    ToolLoopLimitError,
)
from aigc_kit.settings import spelled
from aigc_kit.transport.encoding import valid


class ToolExecutor(Protocol):
    """
    Runs a tool. Text goes back to the model as it is, anything else as JSON, images as images.
    """

    def __call__(self, name: str, args_json: str, /) -> Any: ...


Turns = list[dict[str, Any]]
Ask = Callable[[Turns], Generator[ChatChunk, None, ChatResult]]
"""Asks the model once: yields the chunks of its answer, returns the answer."""


@dataclass(frozen=True)
class Loop:
    """
    What a loop is run with, checked.

    ``tools``: in OpenAI's shape. ``runners``: what runs those that are Python functions;
    ``executor`` runs the others.
    """

    tools: list[dict[str, Any]]
    runners: Mapping[str, Callable[[str], Any]]
    executor: ToolExecutor | None
    max_iterations: int
    on_tool_error: str

    @classmethod
    def checked(cls, tools: Any, executor: Any, max_iterations: Any, on_tool_error: Any) -> Loop:
        """
        Raises:
            InvalidInputError, ConfigurationError: something in it cannot be meant; nothing was
                sent.
        """
        described, runners = functions.split(tools)
        listed = checked_tools(described)
        if not listed:
            raise InvalidInputError("chat_with_tools needs at least one tool")
        if (
            isinstance(max_iterations, bool)
            or not isinstance(max_iterations, int)
            or max_iterations < 1
        ):
            raise InvalidInputError(
                f"max_iterations must be a whole number of at least 1, got {spelled(max_iterations)}"
            )
        if on_tool_error not in ("tell", "raise"):
            raise ConfigurationError(
                f"on_tool_error must be 'tell' or 'raise', got {spelled(on_tool_error)}"
            )
        loop = cls(listed, runners, executor, max_iterations, on_tool_error)
        if executor is None:
            lacking = sorted(loop.names - set(runners))
            if lacking:
                raise InvalidInputError(
                    f"nothing runs the tools {', '.join(lacking)}: pass tool_executor, or pass the functions themselves as tools"
                )
        else:
            if not callable(executor):
                raise InvalidInputError(
                    f"tool_executor must be callable, got {type(executor).__name__}"
                )
            functions.refuse_async(executor, "tool_executor")
        return loop

    @property
    def names(self) -> set[str]:
        return {
            tool["function"]["name"]
            for tool in self.tools
            if isinstance(tool.get("function"), Mapping)
        }

    def execute(self, call: ToolCall) -> Any:
        run = self.runners.get(call.name)
        if run is not None:
            return run(call.arguments)
        if self.executor is None:
            raise LookupError(f"nothing runs the tool {call.name!r}")
        return self.executor(call.name, call.arguments)


@dataclass
class _Told:
    """What the model receives for a call: text or parts, and what went wrong."""

    content: str | list[dict[str, Any]]
    error: str = ""
    cause: BaseException | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "".join(part["text"] for part in self.content if part["type"] == "text")


def turns_of(ask: Ask, messages: Any, loop: Loop) -> Generator[ChatChunk, None, ChatResult]:
    """
    Yields the chunks of every turn and the events of every tool; returns the final answer, whose
    ``messages`` are the whole history, ready for the next ``chat``.

    Raises:
        ToolLoopLimitError: ``max_iterations`` answers in a row asked for tools.
        OutputTruncatedError: an answer was cut in the middle of its calls; they are not run.
    """
    turns: Turns = checked(messages)
    total = _Total()
    for _ in range(loop.max_iterations):
        try:
            result = yield from ask(turns)
        except AIGCError as failed:  # tools may have been run: what they said is not lost
            failed.messages = turns
            raise
        turns = [*turns, result.message]
        total.add(result)
        result.messages = turns
        if not result.has_tool_calls:
            result.usage, result.requests = total.usage, total.requests
            return result
        if result.finish_reason in ("length", "content_filter"):
            raise _truncated(result)
        for call in result.tool_calls:
            yield ChatChunk(tool=ToolEvent("start", call))
            try:
                told = _watched(call, loop)
            except InvalidInputError as failed:
                failed.messages = turns
                raise
            if told.error:
                total.warnings.append(warning("tool", f"{call.name}: {told.error}"))
            turns = [*turns, {"role": "tool", "tool_call_id": call.id, "content": told.content}]
            yield ChatChunk(tool=ToolEvent("result", call, told.text, told.error))
    result.messages = turns
    raise ToolLoopLimitError(
        f"the model still asked for tools after {loop.max_iterations} calls (max_iterations)",
        messages=turns,
        result=result,
        provider=result.provider,
        model=result.model,
        request_id=result.request_id,
    )


def run(ask: Ask, messages: Any, loop: Loop) -> ChatResult:
    """The loop without its chunks; see ``turns_of``."""
    steps = turns_of(ask, messages, loop)
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            result: ChatResult = ended.value
            return result


@dataclass
class _Total:
    """Sums over the turns."""

    usage: Usage = field(default_factory=Usage)
    requests: list[Spent] = field(default_factory=list[Spent])
    warnings: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    def add(self, result: ChatResult) -> None:
        self.usage += result.usage
        self.requests = [*self.requests, *result.requests]
        result.warnings[:0] = [entry for entry in self.warnings if entry not in result.warnings]
        self.warnings = list(result.warnings)


def _truncated(result: ChatResult) -> OutputTruncatedError:
    error = OutputTruncatedError(
        f"the answer was cut in the middle of its tool calls ({result.finish_reason}); they were not run: allow more"
        " max_tokens",
        content=result.content,
        provider=result.provider,
        model=result.model,
        request_id=result.request_id,
    )
    error.result = result
    return error


def _watched(call: ToolCall, loop: Loop) -> _Told:
    facts = {"tool_call_id": call.id}
    with tracing.span("execute_tool", None, call.name, facts) as span:
        told = _outcome(call, loop)
        if told.error:
            span.failed(told.cause or LookupError())
    return told


def _outcome(call: ToolCall, loop: Loop) -> _Told:
    if call.name not in loop.names:
        listed = ", ".join(sorted(loop.names))
        return _Told(
            _error(f"unknown tool {call.name!r}; known tools: {listed}"),
            f"the model called a tool that does not exist: {call.name!r}",
        )
    try:
        if not isinstance(json.loads(call.arguments), dict):
            raise ValueError("a JSON object was expected")
    except (ValueError, RecursionError) as error:
        text = f"the arguments are not a JSON object: {error}"
        return _Told(_error(text), text, error)
    try:
        value = loop.execute(call)
    except functions.ArgumentsError as error:
        text = f"the arguments do not fit: {error}"
        return _Told(_error(text), text, error)
    except Exception as error:  # noqa: BLE001 - whatever a tool raises is news for the model
        return _raised(error, loop)
    if inspect.isawaitable(value):
        close = getattr(value, "close", None)
        if close is not None:
            close()
        raise InvalidInputError(
            f"the tool {call.name!r} returned a coroutine; this library is synchronous: return the value, e.g. by"
            " asyncio.run(...)"
        )
    try:
        return _Told(as_content(value))
    except Exception as error:  # noqa: BLE001 - objects of the application
        return _raised(error, loop)


def _raised(error: Exception, loop: Loop) -> _Told:
    """A tool's exception: news for the model, or the caller's own."""
    if loop.on_tool_error == "raise":
        with contextlib.suppress(AttributeError):
            error.from_tool = True  # type: ignore[attr-defined]  # the client lets it out as it is
        raise error
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 - an exception that cannot even be shown
        said = ""
    detail = valid(f"{type(error).__name__}: {said}" if said else type(error).__name__)
    return _Told(_error(detail), detail, error)


def _error(text: str) -> str:
    return json.dumps({"error": text[:2000]}, ensure_ascii=False)


def as_content(value: Any) -> str | list[dict[str, Any]]:
    """
    What a tool returned, as it goes back: text as it is, anything else as JSON; images (PIL,
    ``ImageResult``, bytes of an image), alone or inside, as parts.
    """
    if isinstance(value, str):
        return valid(value)
    if is_image(value):
        return [media_part(value, "a tool result")]
    images: list[dict[str, Any]] = []
    text = valid(_dumped(_jsonable(value, images)))
    return [{"type": "text", "text": text}, *images] if images else text


def _jsonable(value: Any, images: list[dict[str, Any]]) -> Any:
    """
    The value as plain JSON: pydantic does the work; images become parts, NaN and infinities null.
    """
    if is_image(value):
        images.append(media_part(value, "a tool result"))
        return f"(image {len(images)})"
    if isinstance(value, (bytes, bytearray)):
        return _of_bytes(bytes(value))
    if isinstance(value, Mapping):
        return {str(name): _jsonable(inner, images) for name, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_jsonable(inner, images) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    from pydantic_core import to_jsonable_python

    return json_text.finite(to_jsonable_python(value, bytes_mode="base64", fallback=_described))


def _described(value: Any) -> Any:
    """
    An object that pydantic does not know: its public attributes, or its own text; never its memory
    address.
    """
    attributes = {
        name: inner
        for name, inner in getattr(value, "__dict__", {}).items()
        if not name.startswith("_")
    }
    if attributes:
        return attributes
    if any("__str__" in vars(kind) for kind in type(value).__mro__[:-1]):
        return str(value)
    raise TypeError(
        f"the tool returned a {type(value).__name__}, which is not JSON; return text, a dict or a list"
    )


def _of_bytes(value: bytes) -> Any:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode("ascii")}


def _dumped(plain: Any) -> str:
    """JSON text; a lone text (decoded bytes) stays as it is."""
    return (
        plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False, allow_nan=False)
    )


class ToolLoopStream(Iterator[ChatChunk]):
    """
    The chunks of all turns of a tool loop, and its tools' events (``chunk.tool``); then read
    ``result``.

    Close it, or use it as a context manager, to leave early.
    """

    def __init__(self, steps: Generator[ChatChunk, None, ChatResult]) -> None:
        self._steps = steps
        self._result: ChatResult | None = None

    def __iter__(self) -> ToolLoopStream:
        return self

    def __next__(self) -> ChatChunk:
        try:
            return next(self._steps)
        except StopIteration as ended:
            self._result = self._result or ended.value
            raise

    @property
    def result(self) -> ChatResult:
        """
        The final answer, after the last chunk.

        Raises:
            StreamInterruptedError: the loop has not ended, or was closed early.
        """
        if self._result is None:
            raise StreamInterruptedError(
                "the tool loop has not ended yet: iterate it to its end first"
            )
        return self._result

    def close(self) -> None:
        """Leave the loop; an answer that is still coming is dropped."""
        self._steps.close()

    def __enter__(self) -> ToolLoopStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
