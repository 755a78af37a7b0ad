"""A response of ``/responses`` and its events, read into the assembler. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aigc_kit.chat.assembler import Assembler
from aigc_kit.chat.base import ChatChunk, ChatResult, ToolCallDelta, Usage, count
from aigc_kit.chat.endings import cut_off
from aigc_kit.chat.reasons import reason_of
from aigc_kit.chat.responses.history import marked
from aigc_kit.chat.responses.streamed import Streamed, index_of
from aigc_kit.errors import ContentFilterError, InvalidReplyError
from aigc_kit.transport.answers import vendor_error
from aigc_kit.transport.error_bodies import is_said
from aigc_kit.transport.failures import RequestContext

_ENDS = frozenset(
    {
        "response.completed",
        "response.incomplete",
        "response.failed",
        "response.cancelled",
    }
)
_DELTAS = frozenset({"response.output_text.delta", "response.refusal.delta"})
_THOUGHTS = frozenset({"response.reasoning_summary_text.delta", "response.reasoning_text.delta"})
_DONE = {
    "response.output_text.done": ("text", "text"),
    "response.content_part.done": ("text", "text"),
    "response.refusal.done": ("refusal", "refusal"),
    "response.function_call_arguments.done": ("arguments", "arguments"),
}
"""Event -> (what it ends, its field)."""
_REASONS = {"max_output_tokens": "length"}
_KINDS = ("message", "function_call", "reasoning")


class ResponseReader:
    """
    Reads a whole response, or one event after the other.

    What streamed is not taken again from the ``done`` events; what comes only there is. Source:
    pydantic-ai-slim 2.68 (back ends that send arguments with the last event alone),
    langchain-ai/langchain#37625, read 2026-11-25.
    """

    def __init__(
        self, assembler: Assembler, context: RequestContext, own_origin: str, model: str
    ) -> None:
        self._assembler = assembler
        self._context = context
        self._origin = own_origin
        self._model = model
        self._items: dict[int, dict[str, Any]] = {}  # output index -> the finished item
        self._chars: dict[int, int] = {}  # output index -> characters of its text
        self._streamed = Streamed()
        self._begun: set[int] = set()  # places of calls whose arguments streamed
        self._last: tuple[Any, Any, Any] = (None, None, None)  # the part of the last thought
        self._response: Mapping[str, Any] = {}
        self._ended = False

    def whole(self, body: Mapping[str, Any]) -> None:
        """A whole response; ``raw`` is the response itself."""
        inner = body.get("data")
        if "output" not in body and isinstance(inner, Mapping) and "output" in inner:
            body = inner  # a gateway's envelope
        if "choices" in body and "output" not in body:
            self._refuse_chat(body)
        self._end_with(body)
        self._assembler.raw = dict(body)
        self.end()

    def salvaged(self, body: Mapping[str, Any]) -> ChatResult | None:
        """What of an answer stands beside the vendor's error; it was paid for."""
        inner = body.get("response")
        self._take_output(inner if isinstance(inner, Mapping) else body)
        return self._assembler.result(complete=False) if self._assembler.has_answer() else None

    def event(self, event: dict[str, Any]) -> ChatChunk | None:
        """
        One event of a stream, or a whole response where a stream was asked for.

        Raises:
            ProviderError: it is the vendor's error.
        """
        kind = event.get("type")
        if kind in _DELTAS:
            return self._text(event, str(kind))
        if kind in _THOUGHTS:
            return self._thought(event, event.get("delta"))
        if kind == "response.function_call_arguments.delta":
            return self._arguments(event)
        if kind == "response.output_item.added":
            return self._added(event)
        if kind == "response.output_item.done":
            item = event.get("item")
            return self._done(index_of(event), item) if isinstance(item, dict) else None
        if kind in _DONE:
            return self._without_deltas(str(kind), event)
        if kind == "response.output_text.annotation.added":
            return ChatChunk(extra={"annotations": [event.get("annotation")]})
        return self._frame(kind, event)

    def _frame(self, kind: Any, event: dict[str, Any]) -> ChatChunk | None:
        if kind == "error" or is_said(event.get("error")):
            inner = event.get("error")
            raise vendor_error(self._context, event if inner else {"error": event}, {})
        if "choices" in event:
            self._refuse_chat(event)
        response = event.get("response")
        if kind in _ENDS and isinstance(response, dict):
            return self._end_with(response)
        if event.get("object") == "response":
            self._assembler.is_whole = True
            return self._end_with(event)
        if isinstance(response, Mapping):
            self._head(response)
        return None

    def end(self) -> None:
        """
        After the last event.

        Raises:
            StreamInterruptedError: no terminal event came. "[DONE]" is not one.
            ContentFilterError: the answer was blocked, and there is nothing of it.
        """
        if not self._ended:
            raise cut_off(self._assembler, "it ended without a terminal event")
        assembler, context = self._assembler, self._context
        self._keep_items()
        if not assembler.raw:
            output = [self._items[at] for at in sorted(self._items)]
            assembler.raw = {**self._response, "output": output}
        if assembler.finish_reason == "content_filter" and not assembler.has_answer():
            raise ContentFilterError(
                f"{context.provider} blocked the answer: content_filter",
                reason="content_filter",
                code="content_filter",
                provider=context.provider,
                model=context.model,
                request_id=assembler.request_id,
                status_code=200,
                billed="unknown",
                body=assembler.raw,
            )

    def _refuse_chat(self, body: Mapping[str, Any]) -> None:
        """
        Raises:
            InvalidReplyError: always; ``result`` is the answer, where it is whole.
        """
        for choice in _parts(body.get("choices"))[:1]:
            message = choice.get("message")
            text = message.get("content") if isinstance(message, Mapping) else None
            if isinstance(text, str):
                self._assembler.text(text)
        context = self._context
        error = InvalidReplyError(
            f"{context.provider} answered /responses with a chat completion: pass api='chat'",
            provider=context.provider,
            model=context.model,
            request_id=self._assembler.request_id,
            status_code=200,
            billed="unknown",
            body=dict(body),
        )
        if self._assembler.has_answer():
            error.result = self._assembler.result(complete=False)
        raise error

    # ---- pieces

    def _text(self, event: Mapping[str, Any], kind: str) -> ChatChunk | None:
        delta = event.get("delta")
        if not isinstance(delta, str) or not delta:
            return None
        if kind == "response.refusal.delta":
            self._streamed.add("refusal", event, delta)
            self._assembler.refusal.append(delta)
            return None
        self._streamed.add("text", event, delta)
        answer, reasoning = self._assembler.text(delta)
        return ChatChunk(answer, reasoning) if answer or reasoning else None

    def _thought(self, event: Mapping[str, Any], text: Any) -> ChatChunk | None:
        if not isinstance(text, str) or not text:
            return None
        part = (index_of(event), event.get("summary_index"), event.get("content_index"))
        self._streamed.add("reasoning", event, text)
        if self._assembler.reasoning and part != self._last:
            text = f"\n\n{text}"
        self._last = part
        self._assembler.reasoning.append(text)
        return ChatChunk("", text)

    def _without_deltas(self, kind: str, event: Mapping[str, Any]) -> ChatChunk | None:
        """The end of a part: it has all of it, and some gateways send nothing else."""
        family, field = _DONE[kind]
        part = event.get("part")
        text = (part if isinstance(part, Mapping) else event).get(field)
        delta = {**event, "delta": text}
        if family == "arguments":
            is_new = self._streamed.call_at(event) not in self._begun
            return self._arguments(delta) if is_new else None
        if self._streamed.has(family, event):
            return None
        kind = "response.refusal.delta" if family == "refusal" else "response.output_text.delta"
        return self._text(delta, kind)

    def _arguments(self, event: Mapping[str, Any]) -> ChatChunk | None:
        delta = event.get("delta")
        if not isinstance(delta, str) or not delta:
            return None
        at = self._streamed.call_at(event)
        self._begun.add(at)
        more = self._assembler.calls.more_arguments(at, delta)
        return _of_call(more or self._assembler.calls.fragment(index=at, arguments=delta))

    def _added(self, event: Mapping[str, Any]) -> ChatChunk | None:
        item = event.get("item")
        if not isinstance(item, Mapping) or item.get("type") != "function_call":
            return None
        return _of_call(
            self._assembler.calls.fragment(
                index=self._streamed.call_of(index_of(event), item),
                id=item.get("call_id"),
                name=item.get("name"),
            )
        )

    # ---- whole items

    def _done(self, at: int, item: dict[str, Any]) -> ChatChunk | None:
        if item in self._items.values():
            return None
        known = self._items.get(at)
        if known is not None and known.get("id") == item.get("id") and item.get("id"):
            return None
        if known is not None:  # a gateway that gives no output_index
            at = max(self._items) + 1
        self._items[at] = item
        kind = item.get("type")
        if kind == "message":
            return self._message(at, item)
        if kind == "function_call":
            place = self._streamed.call_of(at, item)
            arguments = None if place in self._begun else item.get("arguments")
            return _of_call(
                self._assembler.calls.fragment(
                    index=place,
                    id=item.get("call_id"),
                    name=item.get("name"),
                    arguments=arguments,
                    whole=True,
                )
            )
        if kind == "reasoning":
            return self._reasoning(at, item)
        self._assembler.has_more = True
        if kind == "custom_tool_call":
            self._assembler.custom_call(item.get("name"))
        if kind == "image_generation_call" and isinstance(item.get("result"), str):
            form = item.get("output_format") or "png"
            url = f"data:image/{form};base64,{item['result']}"
            made = self._assembler.image(url=url, once=True)
            return ChatChunk(images=[made]) if made is not None else None
        return None

    def _message(self, at: int, item: Mapping[str, Any]) -> ChatChunk | None:
        parts = _parts(item.get("content"))
        refusal = "".join(text for part in parts if isinstance(text := part.get("refusal"), str))
        if not self._streamed.claims("refusal", at, item, refusal) and refusal:
            self._assembler.refusal.append(refusal)
        whole = "".join(text for part in parts if isinstance(text := part.get("text"), str))
        self._chars[at] = len(whole)
        if self._streamed.claims("text", at, item, whole) or not whole:
            return None
        answer, reasoning = self._assembler.text(whole)
        return ChatChunk(answer, reasoning) if answer or reasoning else None

    def _reasoning(self, at: int, item: Mapping[str, Any]) -> ChatChunk | None:
        parts = _parts(item.get("summary")) or _parts(item.get("content"))
        texts = [part["text"] for part in parts if isinstance(part.get("text"), str)]
        if self._streamed.claims("reasoning", at, item, "".join(texts)):
            return None
        return self._thought({"output_index": at}, "\n\n".join(texts))

    def _take_output(self, response: Mapping[str, Any]) -> list[ChatChunk]:
        """The items that no event has brought."""
        output = response.get("output")
        self._assembler.expect(output, list, "output")
        made = [
            self._done(at, item)
            for at, item in enumerate(output if isinstance(output, list) else ())
            if isinstance(item, dict)
        ]
        return [chunk for chunk in made if chunk is not None]

    # ---- the end

    def _head(self, response: Mapping[str, Any]) -> None:
        mark, model = response.get("id"), response.get("model")
        if isinstance(mark, str):
            self._assembler.id = mark
        if isinstance(model, str):
            self._assembler.reply_model = model

    def _end_with(self, response: Mapping[str, Any]) -> ChatChunk:
        """
        Raises:
            ProviderError: the response says that it failed.
        """
        self._head(response)
        self._response = response
        chunk = ChatChunk()
        for more in self._take_output(response):
            chunk.delta_content += more.delta_content
            chunk.delta_reasoning += more.delta_reasoning
            chunk.tool_calls += more.tool_calls
            chunk.images += more.images
        status = response.get("status")
        if status in ("queued", "in_progress"):
            details = f"the answer is still {status}: ask for the response by its id"
            self._assembler.warnings.append({"feature": "background", "details": details})
        self._assembler.usage = chunk.usage = usage_of(response.get("usage"))
        if status in ("failed", "cancelled"):
            self._fail(response, str(status))
        self._ended = True
        self._assembler.finish_reason = self._reason(response, status)
        chunk.finish_reason = reason_of(self._assembler.finish_reason)
        for entry in _parts(response.get("input_transformations")):
            details = f"{entry.get('type')} was {entry.get('action')}: {entry.get('reason')}"
            self._assembler.warnings.append({"feature": "input", "details": details})
        return chunk

    def _fail(self, response: Mapping[str, Any], status: str) -> None:
        error = response.get("error") or {"code": status, "message": f"the response was {status}"}
        failure = vendor_error(self._context, {"error": error}, {})
        if self._assembler.has_answer():
            failure.result = self._assembler.result(complete=False)
        raise failure

    def _reason(self, response: Mapping[str, Any], status: Any) -> str:
        """
        A response that is still in the queue (``background``) has its status for a reason; a
        gateway that gives none has ended.
        """
        details = response.get("incomplete_details")
        word = details.get("reason") if isinstance(details, Mapping) else None
        if isinstance(word, str) and word:
            return _REASONS.get(word, word)
        if status in ("queued", "in_progress", "incomplete"):
            return str(status)
        if not status and not isinstance(response.get("output"), list):
            return ""  # no response of this API at all
        return "tool_calls" if self._assembler.calls else "stop"

    def _keep_items(self) -> None:
        output: list[dict[str, Any]] = []
        reasoning: list[dict[str, Any]] = []
        before = ""
        for at in sorted(self._items):
            item = self._items[at]
            kind = str(item.get("type"))
            if kind not in _KINDS:
                # Not sent back, and neither is the reasoning that led to it: the pair is refused
                # when half of it is missing.
                if before == "reasoning":
                    output.pop()
                    reasoning.pop()
            elif kind == "reasoning":
                reasoning.append(item)
                output.append({"type": kind})
            elif kind == "function_call":
                output.append({"type": kind})
            else:
                output.append(self._kept_message(at, item))
            before = kind
        self._assembler.message_extra = marked(self._origin, self._model, output, reasoning)

    def _kept_message(self, at: int, item: Mapping[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {"type": "message", "chars": self._chars.get(at, 0)}
        refusals = [part.get("refusal") for part in _parts(item.get("content"))]
        refusal = "".join(text for text in refusals if isinstance(text, str))
        more = {"phase": item.get("phase"), "refusal": refusal}
        return {**made, **{name: value for name, value in more.items() if value}}


def _of_call(delta: ToolCallDelta | None) -> ChatChunk | None:
    return ChatChunk(tool_calls=[delta]) if delta is not None else None


def _parts(value: Any) -> list[Mapping[str, Any]]:
    """Parts of a list, or the one part that GLM gives instead. Source: litellm 1.110.2 bigmodel."""
    listed = [value] if isinstance(value, Mapping) else value
    if not isinstance(listed, list):
        return []
    return [part for part in listed if isinstance(part, Mapping)]


def usage_of(value: Any) -> Usage | None:
    """Tokens, or None."""
    if not isinstance(value, Mapping):
        return None
    prompt, completion = count(value, "input_tokens"), count(value, "output_tokens")
    details = value.get("input_tokens_details")
    written = details.get("cache_write_tokens_details") if isinstance(details, Mapping) else None
    return Usage(
        prompt,
        completion,
        prompt + completion,
        count(details, "cached_tokens"),
        count(value.get("output_tokens_details"), "reasoning_tokens"),
        count(details, "cache_write_tokens"),
        count(written, "ttl_12h_tokens"),
    )
