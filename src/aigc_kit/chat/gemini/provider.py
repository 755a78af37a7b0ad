"""Gemini's dialect: ``generateContent`` on Vertex AI or the Developer API, through google-genai."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from aigc_kit import settings
from aigc_kit.chat.assembler import Assembler
from aigc_kit.chat.base import ChatProvider, ChatResult, Message
from aigc_kit.chat.call import Call, CallOptions
from aigc_kit.chat.endings import settled
from aigc_kit.chat.gemini.draft import DEVELOPER, VERTEX, Draft
from aigc_kit.chat.gemini.request import to_body
from aigc_kit.chat.gemini.response import ResponseReader
from aigc_kit.chat.streaming import ChatStream, open_stream, read_body
from aigc_kit.client import Rebuilt, constructor
from aigc_kit.transport import codes
from aigc_kit.transport.answers import answer_of
from aigc_kit.transport.deadline import Deadline
from aigc_kit.transport.download import Downloader
from aigc_kit.transport.failures import RequestContext, request_id_of
from aigc_kit.transport.genai_sdk import GenaiTransport
from aigc_kit.transport.google_auth import GenaiSettings
from aigc_kit.transport.http import Response

MODEL = "gemini-3.8-flash"


class GeminiProvider(Rebuilt, ChatProvider):
    """Gemini on Vertex AI (project and credentials) or the Developer API (key)."""

    @constructor
    def __init__(
        self,
        *,
        api_key: Any = None,
        model: str | None = None,
        base_url: str | None = None,
        project: str | None = None,
        location: str | None = None,
        credentials: Any = None,
        vertexai: bool | None = None,
        api_version: str | None = None,
        timeout: float | None = None,
        max_retries: int = 2,
        first_chunk_timeout: float | None = None,
        chunk_timeout: float | None = None,
        structured_mode: str | None = None,
        max_repairs: int = 1,
        allow_private_hosts: bool = False,
        default_headers: Mapping[str, str] | None = None,
        family: str | None = None,
        split_think_tags: bool = True,
        **unknown: Any,
    ) -> None:
        """
        Args:
            api_key: of the Developer API, or of Vertex AI in express mode (``vertexai=True``,
                without a project); unset: ``GOOGLE_API_KEY`` or ``GEMINI_API_KEY``.
            project: of Vertex AI; unset: ``GOOGLE_CLOUD_PROJECT``; ``location``:
                ``GOOGLE_CLOUD_LOCATION``, then global.
            credentials: a google.auth object, the path of a credentials file of any kind, or its
                content as a dict; unset: the machine's own.
            api_version: ``"v1"``, ``"v1beta"``, ...; unset: what ``base_url`` ends with, then the
                SDK's own.
            timeout: seconds for one call; unset: ``GEMINI_TIMEOUT_SECS``, then 600.

        Raises:
            ConfigurationError: an option is missing, unknown or makes no sense.
        """
        known = [
            *CallOptions.NAMES,
            "project",
            "location",
            "credentials",
            "vertexai",
            "api_version",
        ]
        settings.reject_unknown(unknown, known=known, what="gemini")
        self._options = CallOptions.read(
            timeout=timeout,
            max_retries=max_retries,
            first_chunk_timeout=first_chunk_timeout,
            chunk_timeout=chunk_timeout,
            structured_mode=structured_mode,
            max_repairs=max_repairs,
            family=family,
            default_headers=default_headers,
            split_think_tags=split_think_tags,
            variables=["GEMINI_TIMEOUT_SECS"],
        )
        self.model = settings.option(model, "GEMINI_MODEL", default=MODEL)
        found = GenaiSettings.found(
            project=project,
            location=location,
            credentials=credentials,
            api_key=api_key,
            base_url=base_url,
            vertexai=vertexai,
            api_version=api_version,
        )
        self._backend = VERTEX if found.vertexai else DEVELOPER
        self._transport = GenaiTransport(found)
        self._transport.checked_model(self.model)
        self._downloader = Downloader(allow_private_hosts=allow_private_hosts)

    @property
    def is_developer_api(self) -> bool:
        """Whether it asks the Gemini Developer API, and not Vertex AI."""
        return self._backend == DEVELOPER

    @property
    def name(self) -> str:
        return "gemini"

    def chat(self, messages: Sequence[Message], **kwargs: Any) -> ChatResult:
        call = Call.read(messages, kwargs, self._options, self.model, "gemini")
        return call.repaired(lambda turns: self._plain(call, turns))

    def chat_stream(self, messages: Sequence[Message], **kwargs: Any) -> ChatStream:
        call = Call.read(messages, kwargs, self._options, self.model, "gemini")
        request = to_body(call, call.messages, self._downloader, backend=self._backend)
        assembler, context = self._assembler(call, request), self._context(call)
        send = partial(self._send, request, call, context, stream=True)
        chunks = open_stream(
            call,
            context,
            assembler,
            send,
            partial(ResponseReader, assembler, context, self._backend),
        )
        return ChatStream(chunks, assembler, finish=call.checked_once)

    def close(self) -> None:
        self._transport.close()
        self._downloader.close()

    def _send(
        self,
        request: Draft,
        call: Call,
        context: RequestContext,
        deadline: Deadline,
        *,
        stream: bool,
    ) -> Response:
        headers = {**request.headers, **(call.headers or {})}
        return self._transport.generate(
            call.model,
            request.body,
            context=context,
            deadline=deadline,
            stream=stream,
            headers=headers,
        )

    def _plain(self, call: Call, turns: list[dict[str, Any]]) -> ChatResult:
        request = to_body(call, turns, self._downloader, backend=self._backend)
        context = self._context(call)

        def attempt(deadline: Deadline) -> ChatResult:
            response = self._send(request, call, context, deadline, stream=False)
            assembler = self._assembler(call, request)
            assembler.headers = response.headers
            assembler.request_id = request_id_of(response.headers)
            reader = ResponseReader(assembler, context, self._backend)
            answer = answer_of(context, response, deadline, partial(read_body, reader=reader))
            if answer.json is not None:
                reader.whole(answer.json)
            return settled(assembler)

        return call.options.policy.run(attempt, call.deadline)[0]

    def _context(self, call: Call) -> RequestContext:
        return RequestContext(
            "gemini",
            call.model,
            judge=codes.google,
            secrets=(*self._transport.secrets, *call.secrets),
        )

    def _assembler(self, call: Call, request: Draft) -> Assembler:
        assembler = Assembler(
            provider="gemini",
            model=call.model,
            schemas=call.schemas,
            names=request.names.own,
            taken=call.taken,
        )
        assembler.warnings = list(request.warnings)
        assembler.keeps_reasoning = False  # thoughts are never sent back; their signatures are
        return assembler
