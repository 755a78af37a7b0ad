"""
Streams of JSON from bytes that are cut anywhere: server-sent events, and the JSON that back ends
send in their place.

Source: https://html.spec.whatwg.org/#event-stream-interpretation
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

_DATA = b"data: "
_NOT_FIELDS = (b"error", b"message", b"detail", b"http", b"https")
"""
What a line of words may begin with; every other word with a colon behind it is a field, known or
not.
"""


def events(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """
    The data of each event, and every JSON value that stands on lines of its own.

    Reads what vendors really send: any line ending, comments, a byte order mark, no space after the
    colon, no blank line after the last event. An event without data is not one. The data of an event that is named
    ``error`` is put into ``{"error": ...}``. Lines that are not fields (an error that Google sends
    as bare JSON, NDJSON, a whole response or a web page in place of a stream) are gathered until
    they are JSON; what never becomes JSON comes last.
    """
    gathered, lines = _Gathered(), Lines()
    for chunk in _without_mark(chunks):
        if lines.is_empty() and gathered.is_empty():
            whole = _whole_events(chunk)
            if whole:
                yield from whole
                continue
        for line in lines.feed(chunk):
            yield from gathered.add(line)
    for line in lines.rest():
        yield from gathered.add(line)
    yield from gathered.event()
    rest = b"\n".join(gathered.bare).strip()
    if rest:
        yield rest


def _whole_events(chunk: bytes) -> Sequence[bytes]:
    """
    The data of a chunk that is events of one line each and nothing else, as nearly all are; else
    nothing.
    """
    if not chunk.startswith(_DATA):
        return ()
    end = b"\n\n" if chunk.endswith(b"\n\n") else b"\r\n\r\n"
    if not chunk.endswith(end):
        return ()
    body = chunk[len(_DATA) : -len(end)]
    if b"\n" not in body and b"\r" not in body:
        return (body,) if body else ()
    found = body.split(end + _DATA)
    rest = b"".join(found)
    return () if b"\n" in rest or b"\r" in rest or not all(found) else found


@dataclass
class _Gathered:
    """
    The lines of what is not whole yet.

    ``data``: of an event, whose name was ``error`` where it has ``failed``.
    ``bare``: lines that are not fields.
    """

    data: list[bytes] = field(default_factory=list[bytes])
    bare: list[bytes] = field(default_factory=list[bytes])
    failed: bool = False

    def is_empty(self) -> bool:
        return not (self.data or self.bare or self.failed)

    def add(self, line: bytes) -> list[bytes]:
        """What this line completes."""
        if not line:
            return self.event()
        if line.startswith(b"data:"):
            return self._add_data(line)
        if not self.bare and line[:6].lower() == b"error:" and _is_json(line[6:]):
            # llama.cpp before b6500: ggml-org/llama.cpp#16109.
            return [*self.event(), _event([line[6:]], failed=True)]
        if self.bare or not _is_field(line):
            return self._add_bare(line)
        if line == b"data":
            self.data.append(b"")
        elif line.startswith(b"event:"):
            self.failed = line[6:].strip() == b"error"
        return []

    def event(self) -> list[bytes]:
        """The event that ends here, if there is one."""
        if not self.data:
            self.failed = False  # an event without data is none, whatever its name
            return []
        data, failed = self.data, self.failed
        self.data, self.failed = [], False
        if len(data) > 1 and not failed and _are_events(data):
            return data
        return [_event(data, failed)]

    def _add_data(self, line: bytes) -> list[bytes]:
        unfinished: list[bytes] = []
        if self.bare:  # no JSON value holds such a line
            unfinished.append(b"\n".join(self.bare))
            self.bare = []
        self.data.append(line[5:].removeprefix(b" "))
        return unfinished

    def _add_bare(self, line: bytes) -> list[bytes]:
        completed = self.event()  # no blank line before it
        self.bare.append(line)
        whole = _whole_json(self.bare, line)
        if whole:
            completed.append(whole)
            self.bare = []
        return completed


def _event(data: list[bytes], failed: bool) -> bytes:
    whole = data[0] if len(data) == 1 else b"\n".join(data)
    if not failed:
        return whole
    text = whole.strip()
    if text.startswith(b"{") and b'"error"' in text:
        return whole
    if not text.startswith((b"{", b'"')):
        text = json.dumps(text.decode("utf-8", "replace")).encode()
    return b'{"error":' + text + b"}"


def _are_events(data: list[bytes]) -> bool:
    """
    Whether these lines are an event each, of a server that leaves out the blank lines between them:
    together they are not JSON.
    """
    if _is_json(b"\n".join(data)):
        return False
    return all(_is_json(line) or line.strip().upper() == b"[DONE]" for line in data)


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_field(line: bytes) -> bool:
    name, colon, _ = line.partition(b":")
    if line == b"data" or (colon and not name):
        return True
    return bool(colon) and name.replace(b"-", b"").isalnum() and name.lower() not in _NOT_FIELDS


def _whole_json(bare: list[bytes], line: bytes) -> bytes:
    """
    The gathered lines when they are a JSON value, else nothing.

    Looked at only where one can end: at a line that is a whole value itself, or at an unindented
    bracket.
    """
    if line[-1:] not in (b"}", b"]"):
        return b""
    if len(bare) > 1 and (line[:1] not in (b"}", b"]") or bare[0].lstrip()[:1] not in (b"{", b"[")):
        return b""  # a web page has many lines with a bracket alone
    text = b"\n".join(bare).strip().strip(b",")
    return text if _is_json(text) else b""


class Lines:
    """Lines without their ending (LF, CRLF or CR), of bytes that are cut anywhere."""

    def __init__(self) -> None:
        self._pending: list[bytes] = []  # the beginning of a line whose end has not come
        self._after_cr = False

    def is_empty(self) -> bool:
        """Whether the next byte begins a line."""
        return not (self._pending or self._after_cr)

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that end in these bytes."""
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._after_cr = False
        if not chunk:
            return []
        self._after_cr = chunk.endswith(b"\r")
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\n" not in chunk:
            self._pending.append(chunk)
            return []
        whole = chunk.split(b"\n")
        if self._pending:
            whole[0] = b"".join([*self._pending, whole[0]])
        rest = whole.pop()
        self._pending = [rest] if rest else []
        return whole

    def rest(self) -> list[bytes]:
        """A last line without an ending, if there is one."""
        return [b"".join(self._pending)] if self._pending else []


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
