"""Server-sent events from bytes that are cut anywhere. Source: https://html.spec.whatwg.org/#event-stream-interpretation"""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def events(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """
    The data of each event.

    Reads what vendors really send: any line ending, comments, a byte order mark, no space after the colon, no blank
    line after the last event. An event without data is none.
    """
    data: list[bytes] = []
    for line in lines(chunks):
        if not line:
            if data:
                yield data[0] if len(data) == 1 else b"\n".join(data)
                data = []
        elif line.startswith(b"data:"):
            data.append(line[6:] if line.startswith(b"data: ") else line[5:])
        elif line == b"data":
            data.append(b"")
    if data:
        yield b"\n".join(data)


def lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their ending (LF, CRLF or CR), however the bytes are cut."""
    pending: list[bytes] = []  # the beginning of a line whose end has not come
    after_cr = False
    for chunk in _without_mark(chunks):
        if after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            after_cr = False
        if not chunk:
            continue
        after_cr = chunk.endswith(b"\r")
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\n" not in chunk:
            pending.append(chunk)
            continue
        head, *rest = chunk.split(b"\n")
        pending.append(head)
        yield b"".join(pending)
        yield from rest[:-1]
        pending = [rest[-1]] if rest[-1] else []
    if pending:
        yield b"".join(pending)


def _without_mark(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks without a UTF-8 byte order mark at the beginning, itself cut anywhere."""
    mark, head = b"\xef\xbb\xbf", b""
    source = iter(chunks)
    for chunk in source:
        head += chunk
        if len(head) >= 3 or not mark.startswith(head):
            break
    yield head.removeprefix(mark)
    yield from source
