"""Looking names up within a time: ``getaddrinfo`` itself knows none, and a resolver that hangs would hang a call for ever."""

from __future__ import annotations

import ipaddress
import socket
import threading


def addresses(host: str, port: int, seconds: float | None) -> list[str]:
    """
    The numeric addresses of a host, each once, in the system's order.

    Args:
        seconds: how long to wait; None waits as long as the system does.

    Raises:
        TimeoutError: no answer in time. The look-up itself goes on in a thread that ends with it.
        OSError, UnicodeError: the name cannot be resolved.
    """
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    if seconds is None:
        return _look_up(host, port)
    found: list[list[str]] = []
    failed: list[Exception] = []

    def work() -> None:
        try:
            found.append(_look_up(host, port))
        except (OSError, UnicodeError) as error:
            failed.append(error)

    thread = threading.Thread(target=work, name=f"resolve {host}", daemon=True)
    thread.start()
    thread.join(max(seconds, 0.0))
    if failed:
        raise failed[0]
    if not found:
        raise TimeoutError(f"the name {host!r} was not resolved in time")
    return found[0]


def _look_up(host: str, port: int) -> list[str]:
    return list(dict.fromkeys(str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
