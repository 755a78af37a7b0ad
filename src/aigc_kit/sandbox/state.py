"""What the vendors' rules share: the credential they accept and the files they serve."""

from __future__ import annotations

import threading
import time


class State:
    """
    The sandbox without its server.

    ``url`` is the root of every link. ``files``: name -> bytes, content type, and the monotonic
    time at which the link dies.
    ``described``: name -> the ``x-amz-meta-*`` headers of an object.
    """

    def __init__(self, *, api_key: str, link_lifetime: float) -> None:
        """
        Args:
            api_key: what the vendors accept as key or token; ``""`` accepts any.
            link_lifetime: seconds that a link lives.
        """
        self.api_key = api_key
        self.link_lifetime = link_lifetime
        self.url = ""
        self.files: dict[str, tuple[bytes, str, float]] = {}
        self.described: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()

    def keep(self, name: str, data: bytes, content_type: str) -> None:
        """Let ``GET /name`` answer with these bytes while the link lives."""
        with self._lock:
            self.files[name] = (data, content_type, time.monotonic() + self.link_lifetime)
