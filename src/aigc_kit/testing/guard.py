"""Lets connections of this process go to this machine alone, and remembers which would not have."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterable
from types import TracebackType
from typing import Any

_PROXIES = [
    spelled
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    for spelled in (name, name.lower())
]


class Guard:
    """
    While it is entered, names of other hosts are not resolved and their addresses not connected to.

    Every HTTP library of this package and of the vendors' SDKs comes through
    ``socket.getaddrinfo`` and the methods of ``socket.socket``. A proxy of this machine, as every
    developer in China has one, would reach the vendors, so that its variables are away meanwhile.
    """

    def __init__(self, hosts: Iterable[str] = ()) -> None:
        """
        Args:
            hosts: names that are allowed beside this machine.
        """
        self._allowed = {host.lower() for host in hosts}
        self.refused: list[str] = []

    def __enter__(self) -> Guard:
        self._resolve, self._connect = socket.getaddrinfo, socket.socket.connect
        guard, resolve, connect = self, self._resolve, self._connect

        def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
            guard.check(host)
            found = resolve(host, *args, **options)
            if not guard.is_here(host):
                guard._allowed |= {str(entry[4][0]) for entry in found}
            return found

        def connect_to(self: socket.socket, address: Any) -> Any:
            if isinstance(address, tuple):
                guard.check(address[0])
            return connect(self, address)

        def connect_ex_to(self: socket.socket, address: Any) -> Any:
            if isinstance(address, tuple):
                guard.check(address[0])
            return connect_ex(self, address)

        def sendto(self: socket.socket, data: Any, *rest: Any) -> Any:
            if rest and isinstance(rest[-1], tuple):
                guard.check(rest[-1][0])
            return send(self, data, *rest)

        connect_ex, send = socket.socket.connect_ex, socket.socket.sendto
        self._more = {"connect_ex": connect_ex, "sendto": send}
        socket.getaddrinfo = getaddrinfo
        socket.socket.connect = connect_to  # type: ignore[method-assign,assignment]
        socket.socket.connect_ex = connect_ex_to  # type: ignore[method-assign,assignment]
        socket.socket.sendto = sendto  # type: ignore[method-assign,assignment]
        self._proxies = {name: os.environ.pop(name) for name in _PROXIES if name in os.environ}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        socket.getaddrinfo = self._resolve
        socket.socket.connect = self._connect  # type: ignore[method-assign]
        for name, method in self._more.items():
            setattr(socket.socket, name, method)
        for name, value in self._proxies.items():
            os.environ.setdefault(name, value)

    def check(self, host: Any) -> None:
        """
        Raises:
            OSError: the host is not allowed.
        """
        if self.is_here(host) or _text(host) in self._allowed:
            return
        message = (
            f"this test would have reached {_text(host)}: use the aigc_sandbox fixture, which sets the"
            f" environment; or allow the host: @pytest.mark.aigc_no_network({_text(host)!r})"
        )
        self.refused.append(message)
        raise OSError(message)

    def is_here(self, host: Any) -> bool:
        """Whether it is this machine."""
        name = _text(host)
        if name in ("", "localhost") or name.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(name.split("%")[0]).is_loopback
        except ValueError:
            return False


def _text(host: Any) -> str:
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    return str(host or "").lower()
