"""What the vendors' rules share: credentials, the files they serve, and the model's next answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aigc_kit.sandbox.environment import BUCKET, SECRET
from aigc_kit.sandbox.model import Completion, Prompt, complete

Reply = Completion | Callable[[Prompt], "str | Completion"]
"""What the model says next: an answer, or a function that makes one of the conversation."""


@dataclass
class Waiting:
    """``thing`` is for the next ``left`` requests whose path contains ``path``; None: for all."""

    path: str
    thing: Any
    left: int | None


def take(waiting: list[Waiting], path: str, *, but: Callable[[Any], bool] = lambda _: False) -> Any:
    """The first thing that waits for this path, None when none does."""
    for entry in waiting:
        if entry.path not in path or but(entry.thing):
            continue
        if entry.left is not None:
            entry.left -= 1
            if entry.left <= 0:
                waiting.remove(entry)
        return entry.thing
    return None


class State:
    """
    The sandbox without its server.

    ``url`` is the root of every link. ``secret``: of the access key of S3 and Bedrock. ``buckets``:
    those that exist, None: any. ``files``: name -> bytes, content type, and the monotonic time at
    which the link dies.
    ``described``: name -> the ``x-amz-meta-*`` headers of an object. ``tasks``: id -> a task or a
    batch that was begun. ``batch_looks``: how often a batch is looked at before it has run.
    """

    secret = SECRET
    buckets: set[str] | None = None

    def __init__(self, *, api_key: str, link_lifetime: float) -> None:
        """
        Args:
            api_key: what the vendors accept as key or token; ``""`` accepts any.
            link_lifetime: seconds that a link lives.
        """
        self.api_key = api_key
        self.buckets = {BUCKET}
        self.link_lifetime = link_lifetime
        self.url = ""
        self.files: dict[str, tuple[bytes, str, float]] = {}
        self.described: dict[str, dict[str, str]] = {}
        self.replies: list[Waiting] = []
        self.tasks: dict[str, dict[str, Any]] = {}
        self.batch_looks = 1
        self._lock = threading.Lock()

    def keep(self, name: str, data: bytes, content_type: str, *, always: bool = False) -> None:
        """Let ``GET /name`` answer with these bytes while the link lives, or ``always``."""
        dies = float("inf") if always else time.monotonic() + self.link_lifetime
        with self._lock:
            self.files[name] = (data, content_type, dies)

    def complete(self, prompt: Prompt, path: str) -> Completion:
        """What the model says: the next reply that was scripted for this path, else by its rules."""
        with self._lock:
            reply = take(self.replies, path)
        if reply is None:
            return complete(prompt)
        said = reply(prompt) if callable(reply) else reply
        if not isinstance(said, Completion):
            said = Completion(str(said))
        if said.calls and said.reason == "stop":
            said.reason = "tool_calls"
        return said
