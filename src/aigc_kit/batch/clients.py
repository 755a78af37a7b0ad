"""The clients of a worker's process: each is made once, from a description that can be pickled."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from aigc_kit.batch.line import Kind

OF_BATCHES = frozenset(
    {"batch_role_arn", "batch_s3_uri", "batch_endpoint_url", "batch_s3_endpoint_url"}
)
"""Options in ``client_options`` that only Bedrock's batches read."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """
    How a worker makes a client. It is pickled; credentials from variables are read where the
    worker is.

    ``key``: of this client in a worker's memory. ``spool_dir``: a path on the worker's machine;
    None: no journal.
    """

    key: str
    kind: Kind
    provider: str
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    storage: Any = None
    storage_key_prefix: str = ""
    spool_dir: str | None = None
    renditions: tuple[Any, ...] = ()

    @property
    def of_client(self) -> dict[str, Any]:
        """The options without those of a vendor's batches."""
        return {name: value for name, value in self.options.items() if name not in OF_BATCHES}

    def asking(self) -> Spec:
        """For calls that end before they send: they must leave no entry of a purchase."""
        return replace(self, key=f"{self.key} asked", spool_dir=None)

    def client(self) -> Any:
        """
        Raises:
            AIGCError: these options make none.
        """
        if self.kind == "chat":
            from aigc_kit.chat.client import ChatClient

            return ChatClient(self.provider, **self.of_client)
        if self.kind == "embedding":
            from aigc_kit.embedding.client import EmbeddingClient

            return EmbeddingClient(self.provider, **self.of_client)
        from aigc_kit.image.client import ImageClient

        return ImageClient(
            self.provider,
            storage=self.storage,
            storage_key_prefix=self.storage_key_prefix,
            keep_urls=True,
            spool_dir=self.spool_dir,
            renditions=self.renditions,
            **self.of_client,
        )


_clients: dict[tuple[int, str], Any] = {}
_guard = threading.Lock()


def client_of(spec: Spec) -> Any:
    """
    The client of this process for a spec; what a dead worker of this machine left is finished when
    it is made.
    """
    key = (os.getpid(), spec.key)
    found = _clients.get(key)
    if found is not None:
        return found
    with _guard:
        found = _clients.get(key)
        if found is None:
            found = spec.client()
            try:
                if spec.spool_dir is not None and spec.kind == "image":
                    found.resume_spool()
            except BaseException:
                found.close()
                raise
            _clients[key] = found
        return found


def release(keys: Iterable[str]) -> None:
    """Close the clients of this process that were made for these specs."""
    for key in keys:
        client = _clients.pop((os.getpid(), key), None)
        if client is not None:
            client.close()


def _release_all() -> None:
    release([key for pid, key in list(_clients) if pid == os.getpid()])


def _in_child() -> None:
    """After a fork: the parent's clients are the parent's, and no thread will release its lock."""
    global _guard
    _guard = threading.Lock()


atexit.register(_release_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
