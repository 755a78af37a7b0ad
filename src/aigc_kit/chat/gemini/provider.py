"""
Gemini's dialect: ``generateContent`` on Vertex AI or the Developer API, through google-genai.

Source: https://ai.google.dev/api/generate-content, .../thought-signatures, .../function-calling, read 2026-11-22.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from aigc_kit import settings
from aigc_kit.chat.base import ChatChunk, ChatProvider, ChatResult, Message, ToolCallDelta, Usage, count
from aigc_kit.chat.contents import to_body
from aigc_kit.chat.request import Call, CallOptions, sse_chunks
from aigc_kit.chat.stream import Assembler, ChatStream, cut_off, settled
from aigc_kit.edge import Remade
from aigc_kit.errors import ContentFilterError
from aigc_kit.settings import Secret
from aigc_kit.transport import codes
from aigc_kit.transport.deadline import Deadline
from aigc_kit.transport.download import Downloader
from aigc_kit.transport.exchange import Reply
from aigc_kit.transport.genai_sdk import GenaiDoor, GenaiSettings
from aigc_kit.transport.replies import Asked, body_of, error_from_body, json_of, request_id_of

MODEL = "gemini-3.8-flash"
_BLOCKED = frozenset(
    {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT",
     "IMAGE_RECITATION", "MODEL_ARMOR", "JAILBREAK"}
)  # fmt: skip
_REASONS = {"STOP": "stop", "MAX_TOKENS": "length", "CONTINUATION": "length"}


class GeminiProvider(Remade, ChatProvider):
    """Gemini on Vertex AI (project and credentials) or the Developer API (key)."""

    def __init__(
        self, *, api_key: str | Secret | None = None, model: str | None = None, base_url: str | None = None,
        project: str | None = None, location: str | None = None, credentials: Any = None, vertexai: bool | None = None,
        timeout: float | None = None, max_retries: int = 2, first_chunk_timeout: float | None = None,
        chunk_timeout: float | None = None, structured_mode: str | None = None, max_repairs: int = 1,
        allow_private_hosts: bool = False, **unknown: Any,
    ) -> None:  # fmt: skip
        """
        Args:
            api_key: of the Developer API; unset: ``GOOGLE_API_KEY`` or ``GEMINI_API_KEY``.
            project: of Vertex AI; unset: ``GOOGLE_CLOUD_PROJECT``; ``location``: ``GOOGLE_CLOUD_LOCATION``, then global.
            credentials: a google.auth object or the path of a service account file; unset: the machine's own.

        Raises:
            ConfigurationError: an option is missing, unknown or makes no sense.
        """
        known = [*CallOptions.NAMES, "project", "location", "credentials", "vertexai"]
        settings.reject_unknown(unknown, known=known, what="gemini")
        self._options = CallOptions.read(
            timeout=timeout, max_retries=max_retries, first_chunk_timeout=first_chunk_timeout, chunk_timeout=chunk_timeout,
            structured_mode=structured_mode, max_repairs=max_repairs,
        )  # fmt: skip
        self.model = settings.option(model, "GEMINI_MODEL", default=MODEL)
        self._door = GenaiDoor(
            GenaiSettings.found(
                project=project, location=location, credentials=credentials, api_key=api_key, base_url=base_url,
                vertexai=vertexai,
            )
        )  # fmt: skip
        self._door.checked_model(self.model)
        self._downloader = Downloader(allow_private_hosts=allow_private_hosts)

    @property
    def name(self) -> str:
        return "gemini"

    def chat(self, messages: Sequence[Message], **kwargs: Any) -> ChatResult:
        call = Call.read(messages, kwargs, self._options, self.model, "gemini")
        return call.repaired(lambda turns: self._plain(call, turns))

    def chat_stream(self, messages: Sequence[Message], **kwargs: Any) -> ChatStream:
        call = Call.read(messages, kwargs, self._options, self.model, "gemini")
        body, warnings = to_body(call, call.messages, self._downloader)
        assembler, asked = self._assembler(call, warnings), self._asked(call)

        def send(deadline: Deadline) -> Reply:
            return self._door.generate(
                call.model, body, asked=asked, deadline=deadline, stream=True, headers=call.headers
            )

        chunks = sse_chunks(call, asked, assembler, send, _Events(assembler, asked))
        return ChatStream(chunks, assembler, finish=call.checked_once)

    def close(self) -> None:
        self._door.close()
        self._downloader.close()

    def _plain(self, call: Call, turns: list[dict[str, Any]]) -> ChatResult:
        body, warnings = to_body(call, turns, self._downloader)
        asked = self._asked(call)

        def attempt(deadline: Deadline) -> ChatResult:
            reply = self._door.generate(call.model, body, asked=asked, deadline=deadline, headers=call.headers)
            answer = json_of(asked, body_of(asked, reply, deadline), reply.headers)
            assembler = self._assembler(call, list(warnings))
            assembler.request_id = request_id_of(reply.headers)
            assembler.raw = answer
            reader = _Events(assembler, asked)
            reader.event(answer)
            reader.end()
            return settled(assembler)

        return call.options.policy.run(attempt, call.deadline)[0]

    def _asked(self, call: Call) -> Asked:
        return Asked("gemini", call.model, judge=codes.google, secrets=self._door.secrets)

    def _assembler(self, call: Call, warnings: list[dict[str, str]]) -> Assembler:
        assembler = Assembler(provider="gemini", model=call.model, schemas=call.schemas)
        assembler.warnings = warnings
        assembler.keeps_reasoning = False  # thoughts are never sent back; their signatures are
        return assembler


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


class _Events:
    """``GenerateContentResponse`` objects, one or many, read into the assembler."""

    def __init__(self, assembler: Assembler, asked: Asked) -> None:
        self._assembler = assembler
        self._asked = asked
        self._segments: list[tuple[list[str], str]] = []  # texts in pieces, and the signature behind them
        self._block: dict[str, Any] = {}
        self._partial: _PartialCall | None = None

    def event(self, event: Any) -> ChatChunk | None:
        assembler = self._assembler
        if isinstance(event, list) and event:
            event = event[0]
        if not isinstance(event, dict):
            raise cut_off(assembler, f"an event is no object but {type(event).__name__}")
        if event.get("error"):
            cause = error_from_body(self._asked, event, status=200, headers={})
            raise cut_off(assembler, str(cause)) from cause
        if not assembler.id and isinstance(event.get("responseId"), str):
            assembler.id = event["responseId"]
        if not assembler.reply_model and isinstance(event.get("modelVersion"), str):
            assembler.reply_model = event["modelVersion"]
        self._block = _dict(event.get("promptFeedback")) or self._block
        candidates = event.get("candidates")
        candidate = _dict(candidates[0]) if isinstance(candidates, list) and candidates else {}
        chunk = ChatChunk()
        assembler.expect(candidate.get("content"), dict, "content")
        parts = _dict(candidate.get("content")).get("parts")
        assembler.expect(parts, list, "parts")
        for part in parts if isinstance(parts, list) else ():
            self._part(_dict(part), chunk)
        reason = candidate.get("finishReason")
        if isinstance(reason, str) and reason:
            self._end_partial(chunk)
            assembler.finish_reason = _REASONS.get(reason, "content_filter" if reason in _BLOCKED else reason.lower())
            chunk.finish_reason = assembler.finish_reason
            message = candidate.get("finishMessage")
            assembler.finish_message = message if isinstance(message, str) else ""
        usage = usage_of(event.get("usageMetadata"), assembler.usage)
        if usage:
            assembler.usage = chunk.usage = usage
        something = (
            chunk.delta_content or chunk.delta_reasoning or chunk.tool_calls or chunk.finish_reason or chunk.usage
        )
        return chunk if something else None

    def whole(self, body: dict[str, Any]) -> Iterator[ChatChunk]:
        self._assembler.raw = body
        chunk = self.event(body)
        if chunk is not None:
            yield chunk
        self.end()

    def end(self) -> None:
        assembler = self._assembler
        signed = [signature for _, signature in self._segments if signature]
        if signed:
            parts = [
                {"text": "".join(texts), **({"thought_signature": signature} if signature else {})}
                for texts, signature in self._segments
            ]
            own = {"thought_signature": signed[-1], "parts": parts}
            assembler.message_extra = {"extra_content": {"google": own}}
        blocked = self._block.get("blockReason")
        if isinstance(blocked, str) and blocked and not assembler.finish_reason:
            self._refuse(f"blocked the prompt: {blocked}", blocked, self._block.get("blockReasonMessage"))
        if assembler.finish_reason == "content_filter" and not (assembler.content or assembler.calls):
            self._refuse("blocked the answer", "content_filter", assembler.finish_message)

    def _refuse(self, what: str, reason: str, message: Any) -> None:
        usage = self._assembler.usage
        raise ContentFilterError(
            f"gemini {what}{f' ({message})' if message else ''}", reason=reason, code=reason, provider="gemini",
            model=self._asked.model, request_id=self._assembler.request_id or self._assembler.id, status_code=200,
            billed="yes" if usage and usage.total_tokens else "unknown",
        )  # fmt: skip

    def _part(self, part: dict[str, Any], chunk: ChatChunk) -> None:
        assembler = self._assembler
        assembler.expect(part.get("text"), str, "text")
        signature = part.get("thoughtSignature") or part.get("thought_signature")
        signature = signature if isinstance(signature, str) else ""
        call = part.get("functionCall", part.get("function_call"))
        text = part.get("text")
        if isinstance(call, dict):
            self._call(call, signature, chunk)
        elif isinstance(text, str) and part.get("thought"):
            assembler.reasoning.append(text)
            chunk.delta_reasoning += text
        elif isinstance(text, str):
            if text:
                assembler.content.append(text)
                chunk.delta_content += text
            if self._segments and not self._segments[-1][1] and not signature:
                self._segments[-1][0].append(text)
            elif text or signature:
                self._segments.append(([text], signature))

    def _call(self, call: dict[str, Any], signature: str, chunk: ChatChunk) -> None:
        own: dict[str, Any] = {"thought_signature": signature} if signature else {}
        if isinstance(call.get("name"), str) and call["name"]:
            self._end_partial(chunk)
            mark = call.get("id") if isinstance(call.get("id"), str) else ""
            if mark:
                own["id"] = mark
            index = len(self._assembler.calls)
            whole = not (call.get("willContinue") or "partialArgs" in call)
            args = call.get("args")
            delta = self._assembler.fragment(
                index=index, id=mark or f"call_{index}", name=call["name"],
                arguments=(args if isinstance(args, dict) else {}) if whole else None, extra={"google": own} if own else None,
            )  # fmt: skip
            chunk.tool_calls.append(delta)
            if not whole:
                self._partial = _PartialCall(index)
        elif own and self._assembler.calls:
            self._assembler.calls[-1].extra.setdefault("google", {}).update(own)
        if self._partial is not None:
            pieces = call.get("partialArgs")
            for piece in pieces if isinstance(pieces, list) else ():
                self._partial.add(_dict(piece))
            if not call.get("willContinue"):
                self._end_partial(chunk)

    def _end_partial(self, chunk: ChatChunk) -> None:
        if self._partial is not None:
            text = json.dumps(self._partial.value, ensure_ascii=False)
            self._assembler.fragment(index=self._partial.index, arguments=text)
            chunk.tool_calls.append(ToolCallDelta(self._partial.index, "", "", text))
            self._partial = None


class _PartialCall:
    """Arguments that come member by member: ``{"jsonPath": "$.a.b[0]", "stringValue": "...", "willContinue": true}``."""

    _STEP = re.compile(r"\.([^.\[\]]+)|\[([0-9]{1,4})\]|\['((?:[^'\\]|\\.)*)'\]")
    _MOST_STEPS = 100
    _VALUES = ("stringValue", "numberValue", "boolValue", "nullValue")

    def __init__(self, index: int) -> None:
        self.index = index
        self.value: Any = {}

    def add(self, piece: dict[str, Any]) -> None:
        steps = [
            int(at) if at else name or quoted for name, at, quoted in self._STEP.findall(str(piece.get("jsonPath", "")))
        ]
        kind = next((kind for kind in self._VALUES if kind in piece), None)
        if len(steps) > self._MOST_STEPS or not steps or kind is None:
            return
        value = None if kind == "nullValue" else piece[kind]
        holder: Any = self.value
        for step, following in itertools.pairwise(steps):
            holder = self._child(holder, step, [] if isinstance(following, int) else {})
        before = self._child(holder, steps[-1], None)
        joined = before + value if isinstance(before, str) and isinstance(value, str) else value
        self._put(holder, steps[-1], joined)

    def _child(self, holder: Any, step: Any, empty: Any) -> Any:
        try:
            found = holder[step]
        except (KeyError, IndexError, TypeError):
            found = None
        if found is None and empty is not None:
            found = empty
            self._put(holder, step, found)
        return found

    @staticmethod
    def _put(holder: Any, step: Any, value: Any) -> None:
        if isinstance(holder, list) and isinstance(step, int):
            holder.extend([None] * (min(step, 10_000) + 1 - len(holder)))
            holder[min(step, 10_000)] = value
        elif isinstance(holder, dict):
            holder[step] = value


def usage_of(value: Any, before: Usage | None) -> Usage | None:
    """Tokens of a snapshot; a field that it leaves out keeps what the one before said."""
    if not isinstance(value, dict):
        return None

    old = before or Usage()
    prompt = count(value, "promptTokenCount", old.prompt_tokens) + count(value, "toolUsePromptTokenCount")
    thoughts = count(value, "thoughtsTokenCount", old.reasoning_tokens)
    answer = count(value, "candidatesTokenCount", old.completion_tokens - old.reasoning_tokens)
    cached = count(value, "cachedContentTokenCount", old.cached_tokens)
    return Usage(prompt, answer + thoughts, prompt + answer + thoughts, cached, thoughts)
