"""
Streams of JSON from bytes that are cut anywhere: server-sent events, and the JSON that back ends
send in their place.

Source: https://html.spec.whatwg.org/#event-stream-interpretation
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

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
    gathered = _Gathered()
    data = b""  # of an event that has one line until now, as nearly all have
    for line in lines(chunks):
        if data:
            if not line:
                yield data
                data = b""
                continue
            gathered.data.append(data)
            data = b""
        elif line.startswith(b"data: ") and gathered.is_empty():
            data = line[6:]
            continue
        yield from gathered.add(line)
    if data:
        gathered.data.append(data)
    yield from gathered.event()
    rest = b"\n".join(gathered.bare).strip()
    if rest:
        yield rest


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
            return []
        whole = _event(self.data, self.failed)
        self.data, self.failed = [], False
        return [whole]

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
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return b""
    return text


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
        whole = chunk.split(b"\n")
        if pending:
            whole[0] = b"".join([*pending, whole[0]])
        rest = whole.pop()
        yield from whole
        pending = [rest] if rest else []
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
