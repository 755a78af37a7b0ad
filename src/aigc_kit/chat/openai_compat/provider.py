"""
The dialect of ``chat/completions``: every back end that speaks it, by its row of
``aigc_kit.chat.vendors``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar
from urllib.parse import urlsplit

from aigc_kit import settings
from aigc_kit.chat import thoughts, vendors
from aigc_kit.chat.assembler import Assembler
from aigc_kit.chat.base import ChatChunk, ChatProvider, ChatResult, Message
from aigc_kit.chat.call import Call, CallOptions
from aigc_kit.chat.endings import settled
from aigc_kit.chat.openai_compat import origin
from aigc_kit.chat.openai_compat.draft import Draft
from aigc_kit.chat.openai_compat.request import to_body
from aigc_kit.chat.openai_compat.response import CompletionReader
from aigc_kit.chat.parts import data_uri, image_of
from aigc_kit.chat.streaming import ChatStream, open_stream, read_body
from aigc_kit.chat.vendors import Vendor
from aigc_kit.chat.wire import BodyReader, Request, Wire, api_of
from aigc_kit.client import Rebuilt, constructor
from aigc_kit.errors import BadRequestError, ConfigurationError
from aigc_kit.settings import Secret
from aigc_kit.transport.answers import answer_of, body_of
from aigc_kit.transport.deadline import Deadline
from aigc_kit.transport.download import Downloader
from aigc_kit.transport.failures import RequestContext, request_id_of
from aigc_kit.transport.http import Response
from aigc_kit.transport.openai_sdk import OpenAITransport
from aigc_kit.vendors import is_openai_host, prefixes_of

_ENDPOINT = "/chat/completions"


def _completion_reader(
    request: Draft, assembler: Assembler, context: RequestContext, mark: str
) -> CompletionReader:
    echoes = request.fits(request.vendor.echo_reasoning)
    return CompletionReader(assembler, context, mark, marks_reasoning=not echoes)


_AZURE_HOST = re.compile(
    r".+\.(openai\.azure|services\.ai\.azure|cognitiveservices\.azure)\.com", re.IGNORECASE
)
_OWN_SERVERS = frozenset({"ollama", "vllm", "lmstudio"})


def _as_meant(url: str, name: str) -> str:
    """
    The URL of the API from what people paste: of Azure the resource, a deployment or its whole
    "Target URI"; of a server of one's own its root.
    """
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return url
    if _AZURE_HOST.fullmatch(parts.hostname or ""):
        path = parts.path.rstrip("/")
        if path in ("", "/openai", "/openai/v1") or path.startswith("/openai/deployments/"):
            return f"{parts.scheme}://{parts.netloc}/openai/v1"
    if name in _OWN_SERVERS and parts.path in ("", "/") and parts.hostname:
        return url.strip().rstrip("/") + "/v1"
    return url


class OpenAICompatProvider(Rebuilt, ChatProvider):
    """
    Every back end that speaks OpenAI's ``chat/completions``: a row of ``aigc_kit.chat.vendors``, or
    any ``base_url``.

    ``wires``: its endpoints by name.
    """

    wires: ClassVar[dict[str, Wire]] = {"chat": Wire(_ENDPOINT, to_body, _completion_reader)}

    @constructor
    def __init__(
        self,
        *,
        vendor: str = "openai_compat",
        api_key: Any = None,
        model: str | None = None,
        base_url: str | None = None,
        region: str | None = None,
        timeout: float | None = None,
        max_retries: int = 2,
        first_chunk_timeout: float | None = None,
        chunk_timeout: float | None = None,
        structured_mode: str | None = None,
        max_repairs: int = 1,
        allow_private_hosts: bool = False,
        default_headers: Mapping[str, str] | None = None,
        profile: Mapping[str, Any] | str | None = None,
        family: str | None = None,
        split_think_tags: bool = True,
        api: str | None = None,
        **unknown: Any,
    ) -> None:
        """
        Args:
            vendor: a name of ``vendors.VENDORS``, an alias, or the name of a relay.
            api_key: text, pydantic's ``SecretStr`` or a function that returns the key of the
                moment; unset: the vendor's variables. ``openai_compat`` works without one.
            base_url: unset: the vendor's variable, then its own URL. ``openai_compat`` needs one.
            region: ``"intl"`` is the vendor's API outside of China (its keys are not those of China);
                ``base_url`` wins over it.
            timeout: seconds for one call, tries and the whole stream included; unset:
                ``<VENDOR>_TIMEOUT_SECS``, then 600.
            first_chunk_timeout: seconds until a stream's first piece.
            chunk_timeout: seconds between two pieces of a stream.
            structured_mode: see ``ChatClient``.
            default_headers: sent with every request; a call's ``extra_headers`` win over them.
            profile: what an unknown back end needs: a dict of the facts in ``vendors.Vendor``, or
                the name of another row.
            family: the model's name for the rules that go by it, where ``model`` is the name of a
                deployment.
            split_think_tags: ``<think>...</think>`` at the head of the content becomes
                ``reasoning_content``.
            api: ``"chat"`` (``/chat/completions``) or ``"responses"`` (``/responses``); unset: what
                the model needs. A call's ``api`` wins over it.

        Raises:
            ConfigurationError: an option is missing, unknown or makes no sense.
        """
        settings.reject_unknown(
            unknown, known=[*CallOptions.NAMES, "api", "profile", "region"], what=vendor
        )
        row = self.vendor = vendors.row_of(vendor)
        prefixes = prefixes_of(row)
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
            variables=[f"{prefix}_TIMEOUT_SECS" for prefix in prefixes],
        )
        vendors.checked_profile(profile)
        self._api = self._checked_api(api)
        self._profile = profile
        self._known: dict[str, Vendor] = {}
        """Model -> its facts: they are the same for every call."""
        self.model = settings.option(
            model, *(f"{prefix}_MODEL" for prefix in prefixes), default=row.model
        )
        if row.needs_key:
            key: Secret | None = settings.credential(
                api_key, *row.variables, what=f"{row.name}'s api_key", rotating=True
            )
        else:
            key = settings.optional_credential(
                api_key, *row.variables, what="api_key", rotating=True
            )
        if not row.base_url and not settings.option(base_url, *row.base_url_variables):
            raise ConfigurationError(
                f"{row.name} needs base_url, the URL of the API, e.g. {row.example!r}"
            )
        # People paste the whole endpoint.
        home = settings.in_region(region, row.base_url, row.international, what=row.name)
        variables = () if region else row.base_url_variables
        given = settings.option(base_url, *variables, default=home)
        url = settings.base_url(_as_meant(given, row.name))
        self.base_url = url.removesuffix(_ENDPOINT).removesuffix("/responses")
        self._transport = OpenAITransport(
            self.base_url,
            key,
            is_openai=row.name == "openai" and is_openai_host(self.base_url),
        )
        self._downloader = Downloader(allow_private_hosts=allow_private_hosts)
        self._refused: frozenset[tuple[str, str]] = frozenset()
        """(model, field): fields sent by default that the back end has refused for this model."""

    @property
    def name(self) -> str:
        return self.vendor.name

    def chat(self, messages: Sequence[Message], **kwargs: Any) -> ChatResult:
        call, wire = self._read(messages, kwargs)
        return call.repaired(lambda turns: self._plain(call, wire, turns))

    def chat_stream(self, messages: Sequence[Message], **kwargs: Any) -> ChatStream:
        call, wire = self._read(messages, kwargs)
        request = self._request(call, wire, call.messages, stream=True)
        context = self._context(call)
        assembler = self._assembler(call, request)
        chunks = self._streamed(call, wire, request, assembler, context)
        return ChatStream(chunks, assembler, finish=call.checked_once)

    def close(self) -> None:
        self._transport.close()
        self._downloader.close()

    def _read(self, messages: Sequence[Message], given: dict[str, Any]) -> tuple[Call, Wire]:
        """The checked call, and the endpoint that serves it."""
        chosen = self._checked_api(given.pop("api", None)) or self._api
        call = Call.read(messages, given, self._options, self.model, self.name)
        facts = self._facts(call)
        named = api_of(call, facts, chosen)
        if named not in self.wires:
            named = "chat"
        return call, self.wires[named]

    def _checked_api(self, api: Any) -> str | None:
        if api is None or (isinstance(api, str) and api in self.wires):
            return api
        known = " or ".join(map(repr, self.wires))
        raise ConfigurationError(f"api must be {known}, got {settings.spelled(api)}")

    def _streamed(
        self,
        call: Call,
        wire: Wire,
        request: Request,
        assembler: Assembler,
        context: RequestContext,
    ) -> Iterator[ChatChunk]:
        reader = partial(self._reader, wire, request, assembler, context)
        yield from open_stream(
            call, context, assembler, partial(self._send, request, wire, context), reader
        )

    def _plain(self, call: Call, wire: Wire, turns: list[dict[str, Any]]) -> ChatResult:
        request = self._request(call, wire, turns, stream=False)
        context = self._context(call)

        def attempt(deadline: Deadline) -> ChatResult:
            response = self._send(request, wire, context, deadline)
            assembler = self._assembler(call, request)
            assembler.headers = response.headers
            assembler.request_id = request_id_of(response.headers)
            reader = self._reader(wire, request, assembler, context)
            answer = answer_of(context, response, deadline, partial(read_body, reader=reader))
            if answer.json is not None:
                assembler.request_id = answer.request_id
                reader.whole(answer.json)
            return settled(assembler)

        return call.options.policy.run(attempt, call.deadline)[0]

    def _send(
        self, request: Request, wire: Wire, context: RequestContext, deadline: Deadline
    ) -> Response:
        """
        Send once; a field that is sent by default and refused by name is left out from then on.

        A 400 costs nothing, so it is sent again at once. Source: gpustack/gpustack#429,
        microsoft/semantic-kernel#10510.
        """
        call = request.call
        body = {
            name: value
            for name, value in request.body.items()
            if (call.model, name) not in self._refused
        }
        response = self._transport.post(
            wire.path, body, context=context, deadline=deadline, headers=call.headers
        )
        ours = "stream_options" in body and "stream_options" not in {*call.extra, *call.extra_body}
        if response.status not in (400, 422) or not ours:
            return response
        try:
            body_of(context, response, deadline)
        except BadRequestError as error:
            if "stream_options" not in str(error) and "stream_options" not in str(error.body):
                raise
        self._refused |= {(call.model, "stream_options")}
        del body["stream_options"]
        return self._transport.post(
            wire.path, body, context=context, deadline=deadline, headers=call.headers
        )

    def _facts(self, call: Call) -> Vendor:
        found = self._known.get(call.rules)
        if found is None:
            found = self._known[call.rules] = vendors.facts(
                self.vendor, base_url=self.base_url, model=call.rules, profile=self._profile
            )
        return found

    def _origin(self, wire: Wire) -> str:
        return wire.origin + origin.of(self.base_url, self.vendor)

    def _context(self, call: Call) -> RequestContext:
        return RequestContext(
            self.name,
            call.model,
            judge=self.vendor.judge,
            secrets=(*self._transport.secrets, *call.secrets),
        )

    def _assembler(self, call: Call, request: Request) -> Assembler:
        assembler = Assembler(
            provider=self.name,
            model=call.model,
            schemas=call.schemas,
            names=request.names.own,
            taken=call.taken,
            thought_tags=thoughts.TAGS if call.options.split_think_tags else (),
        )
        assembler.warnings = list(request.warnings)
        assembler.base_url = self.base_url
        return assembler

    def _reader(
        self, wire: Wire, request: Request, assembler: Assembler, context: RequestContext
    ) -> BodyReader:
        return wire.reader(request, assembler, context, self._origin(wire))

    def _request(
        self, call: Call, wire: Wire, turns: list[dict[str, Any]], *, stream: bool
    ) -> Request:
        if not call.model:
            raise ConfigurationError(f"model is missing: {self.name} has no default, pass model=")
        facts = self._facts(call)
        fetch = partial(self._image, deadline=call.deadline)
        made: Request = wire.request(
            call, turns, facts, stream=stream, fetch=fetch, origin=self._origin(wire)
        )
        return made

    def _image(self, url: str, deadline: Deadline) -> str:
        image = image_of(url, self._downloader, deadline)
        return data_uri(image.data, image.mime_type)
