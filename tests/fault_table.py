"""
What every fault becomes: each provider, each operation, each fault, measured against the sandbox.

``python -m tests.fault_table`` prints the table, ``--write`` writes ``docs/faults.md``. A cell that
breaks a rule (an exception that is not ours, a second POST of a paid request, a wait beyond the
deadline, a success that is none) ends it with an error.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import re
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from aigc_kit import ChatClient, ImageClient, errors
from aigc_kit.sandbox import Sandbox
from aigc_kit.sandbox.bedrock import frame
from aigc_kit.sandbox.server import Answer, Request
from aigc_kit.storage import R2Storage
from aigc_kit.transport import http, retry
from tests.images import make
from tests.tls import certificate
from tests.waits import Overdue, Waits, within

PAGE = Path(__file__).parents[1] / "docs/faults.md"
TIMEOUT = 5.0
"""Seconds for a cell whose fault is silence; it spends them all."""
PATIENCE = 120.0
"""
Seconds for the others, which never wait for them: on no machine does their work take that long.
"""
LARGEST_RESPONSE = 1 << 20
"""
Bytes after which a body without an end is given up here; 256 MiB of it would only measure the
machine.
"""
AT_ONCE = 2
"""Targets that are worked on at the same time; those that only wait have a thread each."""
CHATS = (
    "openai",
    "deepseek",
    "glm",
    "volcengine",
    "moonshot",
    "dashscope",
    "openai_compat",
    "gemini",
    "bedrock",
)
KEPT = "Image with idempotency_key, kept"
ASK = [{"role": "user", "content": "hello"}]
HTML = b"<!DOCTYPE html><html><head><title>Welcome</title></head><body>nginx</body></html>"


class Recording(Sandbox):
    """A sandbox that makes each true response once; the last one to a POST is its ``truth``."""

    truth: Answer

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._made: dict[tuple[str, bytes], Answer] = {}

    def _by_rules(self, request: Request) -> Answer:
        key = (request.path, request.raw)
        if request.method != "POST":
            return super()._by_rules(request)
        if key not in self._made:
            answer = super()._by_rules(request)
            if not isinstance(answer.body, (bytes, str, dict, list)):
                answer.body = list(answer.body)
            self._made[key] = self.truth = answer
        return self._made[key]


@dataclass
class Target:
    """
    One operation of one provider.

    ``open``: (URL, timeout, retries) -> a client. ``call``: makes the call. ``path``: of the
    request that a fault spoils.
    ``paid``: whether it may be sent once only.
    """

    group: str
    name: str
    open: Callable[[str, float, int], Any]
    call: Callable[[Any], Any]
    path: str = ""
    method: str = "POST"
    paid: bool = False
    server: Recording = field(default_factory=Recording)


@dataclass
class Cell:
    """
    What came of it.

    ``outcome``: ``"ok"`` or the error's name. ``sent``: how often the request reached the server.
    ``beyond``: seconds
    between the deadline and the latest end of a wait.
    """

    outcome: str
    sent: int
    billed: str = ""
    kept: str = ""
    beyond: float = 0.0
    odd: str = ""
    count: int = 1

    def shown(self) -> str:
        parts = [self.outcome, f"sent {self.sent}"]
        if self.billed:
            parts.append(f"billed {self.billed}")
        if self.kept:
            parts.append(self.kept)
        return ", ".join(parts)


def targets() -> list[Target]:
    found: list[Target] = []

    def images(name: str, **more: Any) -> Callable[[str, float, int], Any]:
        def opened(address: str, timeout: float, retries: int) -> ImageClient:
            options = Sandbox.image_options(At(address), name)  # type: ignore[arg-type]
            return ImageClient(
                name,
                timeout=timeout,
                max_retries=retries,
                allow_private_hosts=True,
                **options,
                **more,
            )

        return opened

    def chats(name: str) -> Callable[[str, float, int], Any]:
        def opened(address: str, timeout: float, retries: int) -> ChatClient:
            options = Sandbox.chat_options(At(address), name)  # type: ignore[arg-type]
            own = {"model": "local"} if name == "openai_compat" else {}
            return ChatClient(name, timeout=timeout, max_retries=retries, **options, **own)

        return opened

    def storage(address: str, timeout: float, retries: int) -> R2Storage:
        return R2Storage(
            **Sandbox.storage_options(At(address)), timeout=timeout, max_retries=retries
        )  # type: ignore[arg-type]

    paths = {"volcengine": "images/generations", "gemini": "generateContent"}
    for name, path in paths.items():
        small = {"output_format": "png"} if name == "volcengine" else {}
        found += [
            Target(
                "Image",
                name,
                images(name),
                lambda c, s=small: c.text_to_image("a cat", **s),
                path,
                paid=True,
            ),
            Target(
                "Image group",
                name,
                images(name),
                lambda c: c.text_to_images("cats", n=2),
                path,
                paid=True,
            ),
        ]
    picture = make()
    found.append(Target(KEPT, "volcengine", _kept(images), _order, paths["volcengine"], paid=True))
    for name in paths:
        target = Target(
            "Reference download", name, images(name), lambda c: None, "reference.png", "GET"
        )
        target.server.keep("reference.png", picture, "image/png")
        target.call = lambda c, at=target.server: c.image_to_image(
            "a cat", reference_images=f"{at.url}/reference.png"
        )
        found.append(target)
    for name in CHATS:
        found += [
            Target("Chat", name, chats(name), lambda c: c.chat(ASK)),
            Target("Chat stream", name, chats(name), _streamed),
        ]
    found.append(
        Target(
            "Upload",
            "R2, S3",
            storage,
            lambda s: s.upload_bytes(picture, "a.png", content_type="image/png"),
            "/s3/",
            "PUT",
        )
    )
    return found


@dataclass
class At:
    """As much of a sandbox as its options need, at another URL."""

    url: str
    api_key: str = "sandbox-key"
    secret: str = "secret"
    buckets: None = None

    @property
    def ark_url(self) -> str:
        return f"{self.url}/api/v3"

    def image_options(self, provider: str) -> dict[str, Any]:
        return Sandbox.image_options(self, provider)  # type: ignore[arg-type]


def _kept(images: Callable[..., Any]) -> Callable[[str, float, int], Any]:
    def opened(address: str, timeout: float, retries: int) -> Any:
        storage = R2Storage(**Sandbox.storage_options(At(address)), timeout=timeout)  # type: ignore[arg-type]
        return images("volcengine", storage=storage, spool_dir=tempfile.mkdtemp())(
            address, timeout, retries
        )

    return opened


_orders = iter(range(10**9))


def _order(client: Any) -> Any:
    return client.text_to_image("a cat", idempotency_key=f"order {next(_orders)}")


def _streamed(client: ChatClient) -> Any:
    stream = client.chat_stream(ASK)
    for _ in stream:
        pass
    return stream.result


# ---- one cell


def run(target: Target, client: Any, limit: float) -> Cell:
    server = target.server
    before = sum(r.method == target.method and target.path in r.path for r in server.requests)
    one_by_one = target.group == "Image group" and target.name == "gemini"
    limit *= 2 if one_by_one else 1
    waits = Waits(limit)
    try:
        with within(limit) as waits:
            result = target.call(client)
        cell = Cell("ok", 0, odd=_no_success(result))
        if isinstance(result, Iterator) or getattr(result, "errors", None):
            kinds = sorted({type(error).__name__ for error in result.errors})
            cell.outcome = f"{len(result)} of 2, {', '.join(kinds)}"
            cell.billed = ", ".join(
                sorted({str(getattr(error, "billed", "")) for error in result.errors} - {""})
            )
    except errors.AIGCError as error:
        cell = Cell(type(error).__name__, 0, str(getattr(error, "billed", "")))
        partial = getattr(error, "partial", None)
        if partial is not None and (
            partial.content or partial.reasoning_content or partial.tool_calls
        ):
            cell.kept = "the beginning kept"
        if getattr(error, "result", None) is not None:
            cell.kept = "image saved"
    except Overdue as error:
        cell = Cell(type(error).__name__, 0, odd=str(error))
    except Exception as error:  # the rule that is measured here
        cell = Cell(
            type(error).__name__,
            0,
            odd=f"an exception that is not ours: {type(error).__name__}: {error}",
        )
    cell.beyond = waits.latest - limit
    cell.sent = (
        sum(r.method == target.method and target.path in r.path for r in server.requests) - before
    )
    if (
        target.paid
        and "RateLimitError" not in cell.outcome
        and cell.sent > (2 if one_by_one else 1)
    ):
        cell.odd = cell.odd or f"a paid request was sent {cell.sent} times"
    return cell


def _no_success(result: Any) -> str:
    """Why this is not a success, or ``""``."""
    for picture in getattr(result, "images", [result] if hasattr(result, "has_url") else []):
        if not (picture.has_base64 or picture.url.startswith("http")):
            return "a picture without bytes and without an address"
    ended = getattr(result, "finish_reason", "") in ("stop", "unknown")
    if ended and not (result.content or result.tool_calls or result.refusal or result.warnings):
        return "an empty answer that looks like success"
    return ""


# ---- faults

Arrange = Callable[[Target], None]


def scripted(status: int, body: Any = None, **headers: str) -> Arrange:
    sent = (
        {"error": {"message": "the vendor's words"}, "message": "the vendor's words"}
        if body is None
        else body
    )

    def arrange(target: Target) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        target.server.answer(status, sent, headers=named, path=target.path, times=9)

    return arrange


def wire(kind: str, *, at: int = 0, seconds: float = 0.02) -> Arrange:
    return lambda target: target.server.fail(
        kind, at=at, seconds=seconds, path=target.path, times=9
    )


def in_half(kind: str) -> Arrange:
    def arrange(target: Target) -> None:
        target.server.fail(kind, at=max(len(true_body(target)) // 2, 1), path=target.path, times=9)

    return arrange


def elsewhere(status: int) -> Arrange:
    def arrange(target: Target) -> None:
        where = f"{target.server.url}/elsewhere"
        target.server.answer(status, b"", headers={"location": where}, path=target.path, times=9)

    return arrange


UNREAD = "reset before the request is read"
NOW = "0"
LATER = format_datetime(datetime.now(UTC) + timedelta(days=2), usegmt=True)
# name -> (how to arrange it, whether silence is its point)
FAULTS: dict[str, tuple[Arrange, bool]] = {
    UNREAD: (wire("reset unread"), False),
    "reset after the request was read": (wire("reset"), False),
    "closed after the request was read": (wire("close"), False),
    "no head, silence": (wire("hang"), True),
    "head drips for ever": (wire("drip head", seconds=0.1), True),
    "silence in the middle of the body": (in_half("hang body"), True),
    "body drips": (wire("drip", seconds=0.2), True),
    "closed in the middle of the body": (in_half("cut body"), False),
    "reset in the middle of the body": (in_half("reset body"), False),
    "content-length too large": (wire("too long"), False),
    "content-length too small": (wire("too short"), False),
    "neither length nor chunks": (wire("no length"), False),
    "unrequested gzip": (wire("gzip"), False),
    "body without an end": (wire("endless"), False),
    "one wrong bit": (wire("bad checksum"), False),
    "200 with HTML": (scripted(200, HTML, content_type="text/html"), False),
    "200 with an error": (scripted(200, {"error": {"message": "no", "code": "x"}}), False),
    "200, empty": (scripted(200, b""), False),
    "200, empty, as JSON": (scripted(200, b"", content_type="application/json"), False),
    "200, broken JSON": (scripted(200, b'{"id": ', content_type="application/json"), False),
    "200, broken UTF-8": (
        scripted(200, b'{"id": "\xff\xfe"}', content_type="application/json"),
        False,
    ),
    "200, a list": (scripted(200, b"[1]", content_type="application/json"), False),
    "200, an empty object": (scripted(200, {}), False),
    "204": (scripted(204, b""), False),
    **{f"{status} to elsewhere": (elsewhere(status), False) for status in (301, 302, 307, 308)},
    **{
        str(status): (scripted(status, retry_after=NOW), False)
        for status in (400, 401, 402, 403, 404, 408, 409, 413, 422, 424)
    },
    "429": (scripted(429), False),
    "429, Retry-After: 0": (scripted(429, retry_after=NOW), False),
    "429, Retry-After in the past": (
        scripted(429, retry_after="Wed, 21 Oct 2015 07:28:00 GMT"),
        False,
    ),
    "429, Retry-After: two days": (scripted(429, retry_after="172800"), False),
    "429, Retry-After: a date in two days": (scripted(429, retry_after=LATER), False),
    "429, Retry-After: nonsense": (scripted(429, retry_after="soon"), False),
    **{
        str(status): (scripted(status, retry_after=NOW), False)
        for status in (500, 502, 503, 504, 529)
    },
    "500 with HTML": (scripted(500, HTML, content_type="text/html", retry_after=NOW), False),
    "500, empty": (scripted(500, b"", retry_after=NOW), False),
}


WITH_BODY = (
    "silence in the middle of the body",
    "body drips",
    "closed in the middle of the body",
    "reset in the middle of the body",
)
CHECKSUM = "one wrong bit"
CHECKED = (
    ("Chat stream", "bedrock"),
    ("Reference download", "volcengine"),
    ("Reference download", "gemini"),
)
"""Where a wrong bit can be detected at all."""


def true_body(target: Target) -> bytes:
    """The body of the last true response."""
    if target.group == "Reference download":
        return target.server.files["reference.png"][0]
    if target.group == "Upload":
        return b""
    body = target.server.truth.body
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, list) and body and all(isinstance(piece, bytes) for piece in body):
        return b"".join(body)
    return json.dumps(body, ensure_ascii=False).encode()


def _at(target: Target, server: Recording) -> Target:
    """
    The same operation at another server, whose next connections are reset before they are read.
    """
    server.fail("reset unread", times=9)
    moved = copy.copy(target)
    moved.server = server
    if target.group == "Reference download":
        address = f"{server.url}/reference.png"
        moved.call = lambda c: c.image_to_image("a cat", reference_images=address)
    return moved


REFUSED = "connection refused"
UNKNOWN = "the name does not exist"
SLOW = "the name is never looked up"
UNTRUSTED = "TLS: untrusted certificate"
PLAIN = "TLS: the server speaks none"
LOST = (REFUSED, UNKNOWN, SLOW, UNTRUSTED, PLAIN)
"""Faults before the server: nothing listens at the URL."""


def _astray(target: Target, address: str, timeout: float) -> tuple[Target, Any]:
    """The same operation at a URL where nothing listens, and its client."""
    if target.group != "Reference download":
        return target, target.open(address, timeout, 2)
    moved, reference = copy.copy(target), f"{address}/reference.png"
    moved.call = lambda c: c.image_to_image("a cat", reference_images=reference)
    return moved, target.open(target.server.url, timeout, 2)


def lost(target: Target) -> dict[str, Cell]:
    """The faults of the way there that are found out at once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with (
        tempfile.TemporaryDirectory() as folder,
        Recording(tls=certificate(Path(folder))[0]) as secure,
    ):
        addresses = {
            REFUSED: closed,
            UNKNOWN: "http://no-such-host.invalid",
            UNTRUSTED: secure.url,
            PLAIN: target.server.url.replace("http:", "https:"),
        }
        cells: dict[str, Cell] = {}
        for name, address in addresses.items():
            moved, client = _astray(target, address, PATIENCE)
            with client:
                cells[name] = run(moved, client, PATIENCE)
        return cells


class Resolver:
    """
    The system's resolver, without a network: names in ``.invalid`` do not exist, and it hangs over
    some of them.
    """

    def __init__(self) -> None:
        self.hangs_over: set[str] = set()
        self._real = socket.getaddrinfo

    def look_up(self, host: Any, *args: Any, **options: Any) -> Any:
        if host in self.hangs_over:
            time.sleep(2 * TIMEOUT)
        if str(host).endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self._real(host, *args, **options)

    def __enter__(self) -> Resolver:
        socket.getaddrinfo = self.look_up
        return self

    def __exit__(self, *_: object) -> None:
        socket.getaddrinfo = self._real


def applies(name: str, target: Target) -> bool:
    if name in WITH_BODY:
        return bool(true_body(target))
    return name != CHECKSUM or (target.group, target.name) in CHECKED


def measured(target: Target) -> dict[str, Cell]:
    """Every fault of one target that is found out at once."""
    cells: dict[str, Cell] = {}
    with target.open(target.server.url, PATIENCE, 2) as client:
        cells["none"] = run(target, client, PATIENCE)
        for name, (arrange, silent) in FAULTS.items():
            if silent or not applies(name, target):
                continue
            target.server.reset()
            arrange(target)
            if name == UNREAD:
                with (
                    Recording() as other,
                    target.open(other.url, PATIENCE, 2) as fresh,
                ):  # no connection is open there
                    cells[name] = run(_at(target, other), fresh, PATIENCE)
            else:
                cells[name] = run(target, client, PATIENCE)
    if target.group != KEPT:
        cells |= lost(target)
    with target.open(target.server.url, PATIENCE, 0) as client:
        cells |= swept(target, client)
    return cells


class Silence:
    """The faults of one target that cost its whole timeout."""

    def __init__(self, target: Target, resolver: Resolver) -> None:
        """What is made at the first call of a client is made here, and does not count."""
        self.target = target
        self.resolver = resolver
        self.host = f"slow-{id(self)}.invalid"
        self.client = target.open(target.server.url, TIMEOUT, 2)
        run(target, self.client, PATIENCE)
        self.astray, self.lost = _astray(target, f"http://{self.host}", TIMEOUT)
        run(self.astray, self.lost, PATIENCE)

    def measured(self) -> dict[str, Cell]:
        cells: dict[str, Cell] = {}
        for name, (arrange, silent) in FAULTS.items():
            if silent and applies(name, self.target):
                self.target.server.reset()
                arrange(self.target)
                cells[name] = run(self.target, self.client, TIMEOUT)
        self.target.server.reset()
        if self.target.group != KEPT:
            self.resolver.hangs_over.add(self.host)
            cells[SLOW] = run(self.astray, self.lost, TIMEOUT)
        self.client.close()
        self.lost.close()
        return cells


# ---- sweeps: one row for many cells


CUT = "closed after each byte"
CHANGED = "each field missing, or of another type"
SWEEPS = (CUT, CHANGED)


def swept(target: Target, client: Any) -> dict[str, Cell]:
    if target.group not in ("Image", "Chat", "Chat stream", "Reference download"):
        return {}
    size = len(true_body(target)) + 300
    step = 1 if size < 1500 and target.name in ("volcengine", "openai") else max(size // 60, 1)
    cuts = [*range(0, size, step)]
    arranged = [lambda at=at: target.server.fail("cut", at=at, path=target.path) for at in cuts]
    cells = {CUT: _merged(target, client, arranged)}
    if target.group != "Reference download":
        truth = target.server.truth
        replies = list(_mutations(target))
        arranged = [
            lambda reply=reply: target.server.answer(
                200, reply, headers=dict(truth.headers), path=target.path
            )
            for reply in replies
        ]
        cells[CHANGED] = _merged(target, client, arranged)
    return cells


def _merged(target: Target, client: Any, arranged: list[Callable[[], None]]) -> Cell:
    kept: Counter[tuple[str, str, str]] = Counter()
    whole = Cell("", 0, beyond=-math.inf, count=0)
    for arrange in arranged:
        target.server.reset()
        arrange()
        cell = run(target, client, PATIENCE)
        kept[cell.outcome, cell.billed, cell.kept] += 1
        whole.sent = max(whole.sent, cell.sent)
        whole.odd = whole.odd or cell.odd
        whole.beyond = max(whole.beyond, cell.beyond)
        whole.count += 1
    whole.outcome = " / ".join(sorted({outcome for outcome, _, _ in kept}))
    whole.billed = " / ".join(sorted({billed for _, billed, _ in kept} - {""}))
    return whole


def _mutations(target: Target) -> Iterator[Any]:
    body, headers = target.server.truth.body, target.server.truth.headers
    if "eventstream" in headers.get("content-type", ""):
        events = [(name, json.loads(payload)) for name, payload in map(_unframed, body)]
        for place, (name, payload) in enumerate(events):
            if name in {other for other, _ in events[:place]}:
                continue
            for changed in _changed(payload):
                yield [
                    frame(other, changed if at == place else value)
                    for at, (other, value) in enumerate(events)
                ]
    elif isinstance(body, list) and body and isinstance(body[0], bytes):
        for place, piece in enumerate(body):
            found = re.fullmatch(rb"data: (\{.*\})\s*", piece, re.DOTALL)
            if found and (place in (0, 1, 2) or place >= len(body) - 3):
                for changed in _changed(json.loads(found[1])):
                    data = b"data: " + json.dumps(changed).encode() + b"\n\n"
                    yield [data if at == place else other for at, other in enumerate(body)]
    else:
        value = json.loads(true_body(target))
        yield from _changed(value)


def _unframed(raw: bytes) -> tuple[str, bytes]:
    size = int.from_bytes(raw[4:8], "big")
    found = re.search(rb":event-type\x07..(\w+?)\r?:content-type", raw[12 : 12 + size], re.DOTALL)
    name = found[1].decode() if found else ""
    return name, raw[12 + size : -4]


def _changed(value: Any) -> Iterator[Any]:
    """Each field left out, and in its place each of the other types."""
    for path in _paths(value):
        if len(json.dumps(_found(value, path))) > 20000:
            others: tuple[Any, ...] = (None, 5)
        else:
            others = (None, 5, True, "x", [], {}, [[]], {"a": 1})
        yield _with(value, path, remove=True)
        for other in others:
            yield _with(value, path, other)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in items:
        yield (*path, key)
        yield from _paths(inner, (*path, key))


def _found(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def _with(value: Any, path: tuple[Any, ...], other: Any = None, *, remove: bool = False) -> Any:
    made = copy.deepcopy(value)
    holder = _found(made, path[:-1])
    if remove:
        del holder[path[-1]]
    else:
        holder[path[-1]] = other
    return made


# ---- the page


ROWS = ("none", *FAULTS, *LOST, *SWEEPS)


def table() -> tuple[dict[str, dict[str, dict[str, Cell]]], list[str]]:
    """(group -> target -> fault -> cell, broken rules)."""
    working, waiting = targets(), targets()
    first_wait, retry.FIRST_WAIT = (
        retry.FIRST_WAIT,
        0.02,
    )  # the waits between tries are not what is measured
    largest, http.MAX_RESPONSE_BYTES = http.MAX_RESPONSE_BYTES, LARGEST_RESPONSE
    try:
        with (
            Resolver() as resolver,
            ThreadPoolExecutor(AT_ONCE) as few,
            ThreadPoolExecutor(len(waiting)) as many,
        ):
            silences = few.map(lambda target: Silence(target, resolver), waiting)
            waited = [many.submit(silence.measured) for silence in silences]
            worked = few.map(measured, working)
            rows = [one | other.result() for one, other in zip(worked, waited, strict=True)]
    finally:
        retry.FIRST_WAIT, http.MAX_RESPONSE_BYTES = first_wait, largest
        for target in (*working, *waiting):
            target.server.close()
    found: dict[str, dict[str, dict[str, Cell]]] = {}
    broken: list[str] = []
    for target, row in zip(working, rows, strict=True):
        cells = {name: row[name] for name in ROWS if name in row}
        found.setdefault(target.group, {})[target.name] = cells
        broken += [
            f"{target.group}, {target.name}, {name}: {cell.odd}"
            for name, cell in cells.items()
            if cell.odd
        ]
    return found, broken


def page(found: dict[str, dict[str, dict[str, Cell]]]) -> str:
    lines = [INTRODUCTION]
    for group, columns in found.items():
        merged: dict[str, list[str]] = {}
        for name, cells in columns.items():
            text = json.dumps({fault: cell.shown() for fault, cell in cells.items()})
            merged.setdefault(text, []).append(name)
        heads = [", ".join(names) for names in merged.values()]
        rows = [json.loads(text) for text in merged]
        faults = dict.fromkeys(fault for row in rows for fault in row)
        lines += [
            f"\n## {group}\n",
            f"| fault | {' | '.join(heads)} |",
            "|---" * (len(heads) + 1) + "|",
        ]
        lines += [
            f"| {fault} | {' | '.join(row.get(fault, '–') for row in rows)} |" for fault in faults
        ]
    return "\n".join(lines) + "\n"


INTRODUCTION = """# Faults

What every fault becomes, measured against the sandbox by `python -m tests.fault_table --write`; the tests make this page
again and compare. A cell tells the outcome (`ok`, or the error that comes out), how often the request reached the server
with `max_retries=2`, what `error.billed` says, and what is kept. `A / B`: many cells in one row, and each outcome that
occurred among them. No cell shows an exception that is not ours, a wait beyond the deadline, a second POST of a paid
request, or a success that is none: that ends the command with an error."""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    started = time.monotonic()
    found, broken = table()
    text = page(found)
    if asked.write:
        PAGE.write_text(text, encoding="utf-8")
    else:
        print(text)
    named = {
        (group, name, fault): cell
        for group, columns in found.items()
        for name, row in columns.items()
        for fault, cell in row.items()
    }
    cells = list(named.values())
    where, longest = max(named.items(), key=lambda entry: entry[1].beyond)
    print(
        f"{sum(cell.count for cell in cells)} faults in {len(cells)} cells, {time.monotonic() - started:.0f} s;"
        f" longest wait beyond a deadline {longest.beyond:+.2f} s ({', '.join(where)})",
        file=sys.stderr,
    )
    for line in broken:
        print("BROKEN", line, file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    threading.excepthook = lambda _: None
    sys.exit(main())
