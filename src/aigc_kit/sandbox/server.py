"""
The sandbox: a server that answers by the vendors' rules or by a script, and records what arrived.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any

from aigc_kit.sandbox import (
    ark,
    batches,
    bedrock,
    bfl,
    dashscope_images,
    embeddings,
    gemini,
    openai_chat,
    openai_images,
    openai_responses,
    s3,
)
from aigc_kit.sandbox.assertions import matching, report
from aigc_kit.sandbox.environment import BUCKET, Environment, environment_of
from aigc_kit.sandbox.faults import Fault
from aigc_kit.sandbox.http import Answer, Recorded, Request
from aigc_kit.sandbox.listener import Listener
from aigc_kit.sandbox.model import Completion, Prompt
from aigc_kit.sandbox.state import State, Waiting, take

__all__ = ["Answer", "Recorded", "Request", "Sandbox"]

_CLOSE_SECONDS = 5.0
_RULES = (
    embeddings.handle,
    ark.handle,
    dashscope_images.handle,
    bfl.handle,
    openai_images.handle,
    openai_chat.handle,
    openai_responses.handle,
    gemini.handle,
    bedrock.handle,
    s3.handle,
)


class Sandbox(State):
    """
    A loopback server that stands in for the vendors; a context manager.

    ``url`` is its root, ``requests`` what arrived, ``connections`` how many were opened. ``answer``
    scripts the next responses; without a script the vendors' rules make them from the request.
    ``fail`` spoils the next responses on the wire.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str = "sandbox-key",
        link_lifetime: float = 86400.0,
        latency: float = 0.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """
        Args:
            port: 0 takes a free one.
            api_key: what the vendors accept as key or token; ``""`` accepts any.
            link_lifetime: seconds that Ark's download links live.
            latency: seconds before each response.
            tls: serve https with this context.
        """
        super().__init__(api_key=api_key, link_lifetime=link_lifetime)
        self.requests: list[Recorded] = []
        self.connections = 0
        self.closing = threading.Event()
        self.latency = latency
        self._scripts: list[Waiting] = []
        self._faults: list[Waiting] = []
        self._server = Listener((host, port), self)
        if tls is not None:
            # The serving thread does the handshake: in the accepting one, a silent client would
            # block all others.
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        scheme = "https" if tls is not None else "http"
        self.url = f"{scheme}://{host}:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            args=(0.02,),
            name=f"sandbox {self._server.server_port}",
            daemon=True,
        )
        self._thread.start()

    @property
    def ark_url(self) -> str:
        """``base_url`` for Volcengine."""
        return f"{self.url}/api/v3"

    def image_options(self, provider: str) -> dict[str, Any]:
        """Provider options that point ``ImageClient(provider, ...)`` here."""
        if provider in ("gemini", "google"):
            from google.oauth2.credentials import Credentials

            return {
                "project": "sandbox",
                "location": "global",
                "credentials": Credentials(token=self.api_key),
                "base_url": self.url,
            }
        name = {"zhipu": "glm", "zai": "glm"}.get(provider, provider)
        if provider in ("bfl", "flux"):
            return {"api_key": self.api_key, "base_url": self.url + bfl.PREFIX}
        if name in ("dashscope", "qwen", "wan"):
            return {"api_key": self.api_key, "base_url": self.url + dashscope_images.PREFIX}
        if name in openai_images.VENDORS:
            own = {} if name in openai_images.WITH_MODEL else {"model": "gpt-image-2"}
            base_url = openai_images.base_url(name, self.url)
            return {"api_key": self.api_key, "base_url": base_url, **own}
        return {"api_key": self.api_key, "base_url": self.ark_url}

    def chat_options(self, provider: str) -> dict[str, Any]:
        """Provider options that point ``ChatClient(provider, ...)`` here."""
        if provider in ("gemini", "google"):
            return self.image_options("gemini")
        if provider == "bedrock":
            keys = {"aws_access_key_id": self.api_key, "aws_secret_access_key": self.secret}
            return {"region": "us-east-1", "base_url": self.url, **keys}
        return {"api_key": self.api_key, "base_url": openai_chat.base_url(provider, self.url)}

    def embedding_options(self, provider: str) -> dict[str, Any]:
        """Provider options that point ``EmbeddingClient(provider, ...)`` here."""
        if provider in ("gemini", "google", "bedrock"):
            return self.chat_options(provider)
        return {"api_key": self.api_key, "base_url": embeddings.base_url(provider, self.url)}

    def environment(self) -> Environment:
        """
        The variables that point an application here, whatever clients and SDKs it makes itself:
        ``with box.environment(): ...`` sets them, and puts everything back.
        """
        return environment_of(self.url, self.api_key)

    def reply(
        self,
        content: str | Callable[[Prompt], str | Completion] = "",
        *,
        tool_calls: Iterable[tuple[str, Mapping[str, Any]]] = (),
        reasoning: str = "",
        reason: str = "stop",
        path: str = "",
        times: int | None = 1,
    ) -> None:
        """
        Let the model say this next, in the dialect of the provider that is called, plain or streamed.

        Args:
            content: a text, or a function of the conversation that gives a text or a
                ``Completion``.
            tool_calls: (name, arguments) of each call.
            reason: ``stop``, ``length`` or ``content_filter``.
            path: of requests whose path contains it.
            times: for how many requests; None: for all until ``reset``.
        """
        reply: Any = content
        if not callable(content):
            calls = [
                (f"call_{number}", name, dict(arguments))
                for number, (name, arguments) in enumerate(tool_calls)
            ]
            reply = Completion(content, reasoning, calls, reason)
        with self._lock:
            self.replies.append(Waiting(path, reply, times))

    def answer(
        self,
        status: int = 200,
        body: Any = b"",
        *,
        headers: dict[str, str] | None = None,
        delay: float = 0.0,
        path: str = "",
        times: int | None = 1,
    ) -> None:
        """
        Answer the next ``times`` requests whose path contains ``path`` with this instead of by the
        rules; None: all until ``reset``.

        Args:
            body: see ``Answer``; a function is given the ``Recorded`` request.
        """
        answer = Answer(status, body, dict(headers or {}), delay)
        with self._lock:
            self._scripts.append(Waiting(path, answer, times))

    def fail(
        self,
        kind: str,
        *,
        at: int = 0,
        seconds: float = 0.02,
        path: str = "",
        times: int | None = 1,
    ) -> None:
        """
        Spoil the next ``times`` responses to requests whose path contains ``path``; None: all until
        ``reset``.

        Args:
            kind: a key of ``aigc_kit.sandbox.faults.KINDS``. ``"reset unread"`` takes the next
                connection, whatever its path.
            at: after how many bytes, where the kind says so; negative counts from the end.
            seconds: between two bytes that drip.
        """
        with self._lock:
            self._faults.append(Waiting(path, Fault(kind, at, seconds), times))

    def assert_requested(
        self,
        path: str = "",
        *,
        method: str = "",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        times: int | None = None,
    ) -> list[Recorded]:
        """
        The requests that are as described.

        Args:
            path: a part of it.
            body: what must be in it; an object may have more members.
            times: how many there must be; None: at least one.

        Raises:
            AssertionError: there are others; the message lists what was received, and how the last one
                differs.
        """
        with self._lock:
            came = list(self.requests)
        found = matching(came, path, method, body, headers or {})
        if len(found) != times if times is not None else not found:
            raise AssertionError(report(came, len(found), times, path, method, body))
        return found

    def assert_nothing_requested(self) -> None:
        """
        Raises:
            AssertionError: something was sent; the message lists it.
        """
        self.assert_requested(times=0)

    def reset(self) -> None:
        """Forget requests, replies, scripts and faults. What was stored stays."""
        with self._lock:
            self.requests.clear()
            self.replies.clear()
            self._scripts.clear()
            self._faults.clear()
            self.connections = 0

    def storage_options(self, bucket: str = BUCKET, store: str = "r2") -> dict[str, Any]:
        """
        Options that point ``R2Storage(...)`` here, or another store; the bucket exists from then
        on.

        Args:
            store: ``"oss"``, ``"cos"`` or ``"tos"``: of ``OSSStorage`` and so on, with the refusals
                of that service.
        """
        if self.buckets is not None:
            self.buckets.add(bucket)
        if store != "r2":
            return {
                "bucket": bucket,
                "endpoint_url": s3.ENDPOINTS[store],
                "access_key_id": self.api_key,
                "secret_access_key": self.secret,
                "proxies": {"http": self.url},
            }
        return {
            "access_key_id": self.api_key,
            "access_key_secret": self.secret,
            "endpoint": f"{self.url}/s3",
            "bucket": bucket,
            "public_domain": "assets.example.com",
        }

    def close(self) -> None:
        """
        Hang up on every client. A response whose body is being made may take up to five seconds
        more.
        """
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_CLOSE_SECONDS)
        self._server.hang_up(_CLOSE_SECONDS)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def handle(self, request: Request) -> Answer:
        """
        The answer to a request: scripted, or by the rules of the vendor whose path it has; with its
        fault.
        """
        with self._lock:
            self.requests.append(request.recorded())
            script = take(self._scripts, request.path)
            fault = take(self._faults, request.path, but=_is_of_connections)
        try:
            answer = _played(script, request) if script else self._by_rules(request)
        except Exception as error:  # noqa: BLE001 - functions of tests raise anything
            # A slip in a test's own function looks like a broken connection otherwise.
            _log.exception("the sandbox could not answer %s %s", request.method, request.path)
            said = f"the sandbox could not answer: {type(error).__name__}: {error}"
            answer = Answer(500, {"error": {"message": said, "code": "sandbox"}})
        delay = max(answer.delay, self.latency)
        return replace(answer, fault=fault, delay=delay) if fault or delay else answer

    def accepts(self) -> bool:
        """Count a connection; whether it may be read from."""
        with self._lock:
            self.connections += 1
            return take(self._faults, "", but=lambda fault: not _is_of_connections(fault)) is None

    def _by_rules(self, request: Request) -> Answer:
        found = batches.handle(request, self, self._by_rules)
        if found is not None:
            return found
        for rules in _RULES:
            answer = rules(request, self)
            if answer is not None:
                return answer
        kept = self.files.get(request.path.lstrip("/"))
        if kept is not None and time.monotonic() <= kept[2]:
            return Answer(200, kept[0], {"content-type": kept[1]})
        return Answer(
            404, {"error": {"message": f"the sandbox has nothing at {request.path}", "code": "404"}}
        )


_log = logging.getLogger("aigc_kit.sandbox")


def _is_of_connections(fault: Fault) -> bool:
    return fault.kind == "reset unread"


def _played(script: Answer, request: Request) -> Answer:
    """A scripted answer; its body may be a function of the request."""
    if not callable(script.body):
        return script
    made = script.body(request.recorded())
    return made if isinstance(made, Answer) else replace(script, body=made)
