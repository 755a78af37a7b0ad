"""What leaves through a connection, and in which pieces."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import httpcore
import pytest

from aigc_kit.transport.network import WRITE_BYTES, Backend
from tests.wire import AMPLE

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.fixture
def peer() -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers a request when it is whole: its URL, and the first piece of each."""
    listening = socket.create_server(("127.0.0.1", 0))
    pieces: list[bytes] = []

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            while first := connection.recv(2 * WRITE_BYTES):
                pieces.append(first)
                seen = len(first)
                head = first.partition(b"\r\n\r\n")[0].lower()
                length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
                while seen < len(head) + 4 + length:
                    seen += len(connection.recv(2 * WRITE_BYTES))
                connection.sendall(ANSWER)

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/", pieces
    thread.join(AMPLE)
    listening.close()


@pytest.mark.parametrize("size", [0, 10, 3 * WRITE_BYTES])
def test_the_head_leaves_with_a_small_body(peer: tuple[str, list[bytes]], size: int) -> None:
    """In one packet, on each request of a connection; a large body follows uncopied."""
    url, pieces = peer
    method = "POST" if size else "GET"
    with httpcore.ConnectionPool(network_backend=Backend(httpcore)) as pool:
        for _ in range(3):
            assert pool.request(method, url, content=b"x" * size or None).content == b"ok"
    assert len(pieces) == 3
    for piece in pieces:
        head, _, body = piece.partition(b"\r\n\r\n")
        assert head.startswith(method.encode())
        if size <= WRITE_BYTES:
            assert body == b"x" * size
