"""
The sandbox: a server that answers by the vendors' rules or by a script, and records what arrived.
"""

from __future__ import annotations

import ssl
import threading
import time
from dataclasses import replace
from types import TracebackType
from typing import Any, TypeVar

from aigc_kit.sandbox import (
    ark,
    bedrock,
    embeddings,
    gemini,
    openai_chat,
    openai_images,
    openai_responses,
    s3,
)
from aigc_kit.sandbox.faults import Fault
from aigc_kit.sandbox.http import Answer, Recorded, Request
from aigc_kit.sandbox.listener import Listener
from aigc_kit.sandbox.state import State

__all__ = ["Answer", "Recorded", "Request", "Sandbox"]

T = TypeVar("T")

_CLOSE_SECONDS = 5.0
_RULES = (
    embeddings.handle,
    ark.handle,
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
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """
        Args:
            port: 0 takes a free one.
            api_key: what the vendors accept as key or token; ``""`` accepts any.
            link_lifetime: seconds that Ark's download links live.
            tls: serve https with this context.
        """
        super().__init__(api_key=api_key, link_lifetime=link_lifetime)
        self.requests: list[Recorded] = []
        self.connections = 0
        self.closing = threading.Event()
        self._scripts: list[tuple[str, Answer]] = []
        self._faults: list[tuple[str, Fault]] = []
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
            keys = {"aws_access_key_id": self.api_key, "aws_secret_access_key": "secret"}
            return {"region": "us-east-1", "base_url": self.url, **keys}
        return {"api_key": self.api_key, "base_url": openai_chat.base_url(provider, self.url)}

    def embedding_options(self, provider: str) -> dict[str, Any]:
        """Provider options that point ``EmbeddingClient(provider, ...)`` here."""
        if provider in ("gemini", "google", "bedrock"):
            return self.chat_options(provider)
        return {"api_key": self.api_key, "base_url": embeddings.base_url(provider, self.url)}

    def answer(
        self,
        status: int = 200,
        body: Any = b"",
        *,
        headers: dict[str, str] | None = None,
        delay: float = 0.0,
        path: str = "",
        times: int = 1,
    ) -> None:
        """
        Answer the next ``times`` requests whose path contains ``path`` with this instead of by the
        rules.
        """
        with self._lock:
            self._scripts += [(path, Answer(status, body, dict(headers or {}), delay))] * times

    def fail(
        self, kind: str, *, at: int = 0, seconds: float = 0.02, path: str = "", times: int = 1
    ) -> None:
        """
        Spoil the next ``times`` responses to requests whose path contains ``path``.

        Args:
            kind: a key of ``aigc_kit.sandbox.faults.KINDS``. ``"reset unread"`` takes the next
                connection, whatever its path.
            at: after how many bytes, where the kind says so; negative counts from the end.
            seconds: between two bytes that drip.
        """
        with self._lock:
            self._faults += [(path, Fault(kind, at, seconds))] * times

    def reset(self) -> None:
        """Forget requests, scripts and faults."""
        with self._lock:
            self.requests.clear()
            self._scripts.clear()
            self._faults.clear()
            self.connections = 0

    def storage_options(self, bucket: str = "pictures") -> dict[str, Any]:
        """Options that point ``R2Storage(...)`` here."""
        return {
            "access_key_id": self.api_key,
            "access_key_secret": "secret",
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
            script = _taken(self._scripts, request.path)
            fault = _taken(self._faults, request.path)
        answer = script or self._by_rules(request)
        return replace(answer, fault=fault) if fault else answer

    def accepts(self) -> bool:
        """Count a connection; whether it may be read from."""
        with self._lock:
            self.connections += 1
            for place, (_, fault) in enumerate(self._faults):
                if fault.kind == "reset unread":
                    del self._faults[place]
                    return False
        return True

    def _by_rules(self, request: Request) -> Answer:
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


def _taken(waiting: list[tuple[str, T]], path: str) -> T | None:
    for place, (part, thing) in enumerate(waiting):
        if part in path and getattr(thing, "kind", "") != "reset unread":
            del waiting[place]
            return thing
    return None
