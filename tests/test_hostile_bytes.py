"""
Hostile bytes, URLs, paths and storage keys: only errors of the library, nothing paid, nothing
reached, no hang.
"""

from __future__ import annotations

import base64
import contextlib
import io
import os
import random
import socket
import struct
import threading
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from aigc_kit import ChatClient, ImageClient, ImageResult, errors
from aigc_kit.sandbox import Sandbox
from aigc_kit.storage import LocalStorage, R2Storage, S3Storage, Storage
from aigc_kit.storage.local import _refused_by_windows
from aigc_kit.transport import retry
from tests.images import animated, make
from tests.odd import EXTREME, JUNK, ODD, REFUSED, complaint, outcome
from tests.wire import AMPLE

VENDORS = ["volcengine", "gemini"]


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox() as server:
        yield server


@pytest.fixture(scope="module")
def clients(server: Sandbox) -> Iterator[dict[str, ImageClient]]:
    made = {
        name: ImageClient(name, timeout=AMPLE, max_retries=0, **server.image_options(name))
        for name in VENDORS
    }
    yield made
    for client in made.values():
        client.close()


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A download that is tried again does not wait before it."""
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.0)


def ask(clients: dict[str, ImageClient], name: str, image: Any) -> Callable[[], Any]:
    return lambda: clients[name].image_to_image("x", reference_images=image, size="2048x2048")


# ---- reference images


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int, height: int, *, bits: int = 8, color: int = 2, data: bytes = b"", more: bytes = b""
) -> bytes:
    """A PNG of these claims, whatever its data."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + head
        + more
        + chunk(b"IDAT", zlib.compress(data, 9))
        + chunk(b"IEND", b"")
    )


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("evil.txt", "x")
    return buffer.getvalue()


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return make("JPEG", (40, 20), exif=exif.tobytes())


def bad_exif(mode: str = "CMYK") -> bytes:
    return make(
        "JPEG",
        (40, 20),
        mode,
        exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff" + b"\x01\x12\x00\x63" * 9,
    )


GOOD_PICTURES: dict[str, Callable[[], bytes]] = {
    "png": make,
    "jpeg": lambda: make("JPEG"),
    "webp": lambda: make("WEBP"),
    "gif": lambda: make("GIF"),
    "bmp": lambda: make("BMP"),
    "tiff": lambda: make("TIFF"),
    "animated gif": lambda: animated("GIF"),
    "animated webp": lambda: animated("WEBP"),
    "animated png": lambda: animated("PNG"),
    "16 bit png": lambda: make("PNG", mode="I;16"),
    "cmyk jpeg": lambda: make("JPEG", mode="CMYK"),
    "rotated jpeg": rotated,
    "1 bit png": lambda: make("PNG", mode="1"),
    "palette": lambda: make("PNG", mode="P", transparency=0),
    "grey with alpha": lambda: make("PNG", mode="LA"),
    "png and zip": lambda: make() + zipped(),
    "gif and script": lambda: make("GIF") + b"/*<script>alert(1)</script>*/=1;",
    "cmyk tiff": lambda: make("TIFF", mode="CMYK"),
}
BAD_PICTURES: dict[str, Callable[[], bytes]] = {
    "bomb": lambda: png(30_000, 30_000, data=bytes(1_000_000)),
    "grey bomb": lambda: png(65_535, 65_535, bits=1, color=0, data=bytes(1_000_000)),
    "largest png": lambda: png(2**31 - 1, 2**31 - 1),
    "negative png": lambda: png(2**32 - 1, 2**32 - 1),
    "empty png": lambda: png(0, 0),
    "png of bad depth": lambda: png(20, 20, bits=3),
    "png of bad color": lambda: png(20, 20, color=9),
    "png without data": lambda: png(20, 20),
    "text bomb": lambda: png(
        20, 20, more=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(20_000_000), 9))
    ),
    "profile bomb": lambda: png(
        20, 20, more=chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(20_000_000), 9))
    ),
    "gif bomb": lambda: (
        b"GIF89a\xff\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\xff\xff\xff\xff\x00\x02\x02L\x01\x00;"
    ),
    "webp bomb": lambda: (
        b"RIFF\x1e\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x02\x00\x00\x00\xff\xff\xff\xff\xff\xff"
        + bytes(8)
    ),
    "tiff loop": lambda: b"II*\x00\x08\x00\x00\x00\x00\x00\x08\x00\x00\x00",
    "empty": lambda: b"",
    "one byte": lambda: b"\x89",
    "html": lambda: b"<!doctype html><html><body>404</body></html>",
    "svg": lambda: (
        b'<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><script>alert(1)</script></svg>'
    ),
    "svg entities": lambda: (
        b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>'
    ),
    "pdf": lambda: b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n%%EOF",
    "eps": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n(/etc/passwd) (r) file",
    "zip": zipped,
    "random": lambda: random.Random(1).randbytes(5000),
    "png head": lambda: b"\x89PNG\r\n\x1a\n",
    "jpeg head": lambda: b"\xff\xd8\xff",
    "jpeg fill": lambda: b"\xff\xd8" + b"\xff" * 100_000,
    "webp head": lambda: b"RIFF\x00\x00\x00\x00WEBP",
    "gif head": lambda: b"GIF89a",
    "bmp head": lambda: b"BM" + bytes(12) + b"\x28\x00\x00\x00" + bytes(8),
    "bmp of huge sides": lambda: (
        b"BM" + bytes(12) + struct.pack("<IiiHH", 40, 2**31 - 1, -(2**31), 1, 24) + bytes(24)
    ),
    "tiff head": lambda: b"MM\x00*\xff\xff\xff\xff",
    "avif head": lambda: b"\x00\x00\x00\x1cftypavif" + bytes(20),
    "heic of nothing on ark": lambda: b"\x00\x00\x00\x1cftypabcd" + bytes(20),
    "flat line": lambda: make(size=(3000, 16)),
}


@pytest.mark.parametrize("kind", GOOD_PICTURES)
@pytest.mark.parametrize("vendor", VENDORS)
def test_images_of_every_kind_go_through(
    server: Sandbox, clients: dict[str, ImageClient], vendor: str, kind: str
) -> None:
    """
    As bytes of several types, as a ``data:`` URI with another type's name, and as a PIL image.
    """
    data = GOOD_PICTURES[kind]()
    uri = f"data:image/x-icon;base64,{base64.b64encode(data).decode()}"
    opened = Image.open(io.BytesIO(data))
    for given_as in (
        data,
        bytearray(data),
        memoryview(data),
        uri,
        opened,
        ImageResult.from_bytes(data),
    ):
        assert outcome(server, ask(clients, vendor, given_as)) == "ok"
    if vendor == "gemini":  # the name always matches the bytes
        for part in server.requests[0].body["contents"][0]["parts"][1:]:
            sent = base64.b64decode(part["inlineData"]["data"])
            assert (
                Image.MIME[str(Image.open(io.BytesIO(sent)).format)]
                == part["inlineData"]["mimeType"]
            )


@pytest.mark.parametrize(
    ("vendor", "kind"),
    # Gemini has no rule for ratios.
    [
        (vendor, kind)
        for vendor in VENDORS
        for kind in BAD_PICTURES
        if (vendor, kind) != ("gemini", "flat line")
    ],
)
def test_bad_images_are_refused(
    server: Sandbox, clients: dict[str, ImageClient], vendor: str, kind: str
) -> None:
    """As bytes and as a ``data:`` URI that claims to be an image."""
    data = BAD_PICTURES[kind]()
    uri = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    assert outcome(server, ask(clients, vendor, data)) == "ReferenceImageError"
    assert outcome(server, ask(clients, vendor, [make(), uri])) == "ReferenceImageError"


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_cut_images_are_refused(
    server: Sandbox, clients: dict[str, ImageClient], vendor: str, form: str
) -> None:
    """Wherever the cut is; what follows the last byte that counts may be missing."""
    noise = Image.frombytes("RGB", (40, 30), random.Random(form).randbytes(3600))
    buffer = io.BytesIO()
    noise.save(buffer, format=form)
    data = buffer.getvalue()
    for length in {*random.Random(form).sample(range(len(data) - 200), 25), 1, 8, 20}:
        assert outcome(server, ask(clients, vendor, data[:length])) == "ReferenceImageError", length


@pytest.mark.parametrize(
    "mode",
    [
        "1",
        "L",
        "P",
        "RGB",
        "RGBA",
        "CMYK",
        "YCbCr",
        "LAB",
        "HSV",
        "I",
        "F",
        "LA",
        "PA",
        "RGBX",
        "RGBa",
        "La",
        "I;16",
        "I;16B",
    ],
)
@pytest.mark.parametrize("vendor", VENDORS)
def test_pil_images_of_every_mode(
    server: Sandbox, clients: dict[str, ImageClient], vendor: str, mode: str
) -> None:
    """They are sent as PNG, or refused."""
    image = Image.new(mode, (20, 20))
    assert outcome(server, ask(clients, vendor, image)) in ("ok", "ReferenceImageError")


def test_odd_pil_images_are_refused(server: Sandbox, clients: dict[str, ImageClient]) -> None:
    """Closed, empty, half loaded."""
    closed = Image.open(io.BytesIO(make()))
    closed.close()
    loaded = Image.new("RGB", (20, 20))
    loaded.close()
    cut = Image.open(io.BytesIO(make(size=(200, 200))[:120]))
    lying = Image.new("RGB", (20, 20))
    lying.info = {"transparency": object(), "icc_profile": "x", "dpi": "y", "exif": 5}
    for vendor in VENDORS:
        for image in (closed, loaded, cut, Image.new("RGB", (0, 0)), Image.new("L", (0, 5))):
            assert outcome(server, ask(clients, vendor, image)) == "ReferenceImageError"
        assert outcome(server, ask(clients, vendor, lying)) in ("ok", "ReferenceImageError")


@pytest.mark.parametrize("mode", ["CMYK", "RGB"])
@pytest.mark.parametrize("vendor", VENDORS)
def test_broken_exif_does_no_harm(
    server: Sandbox, clients: dict[str, ImageClient], vendor: str, mode: str
) -> None:
    """Also where the image is converted."""
    assert outcome(server, ask(clients, vendor, bad_exif(mode))) in ("ok", "ReferenceImageError")


@pytest.mark.parametrize("vendor", VENDORS)
def test_odd_references_are_refused(
    server: Sandbox, clients: dict[str, ImageClient], vendor: str
) -> None:
    """What is not an image in any form, alone and in a list."""
    found = []
    for kind, make_odd in {**ODD, **EXTREME}.items():
        for image in (make_odd, lambda make_odd=make_odd: [make(), make_odd()]):
            why = complaint(
                server, lambda image=image: ask(clients, vendor, image())(), refused=True
            )
            found += [f"{kind}: {why}"] if why else []
    assert found == []


def test_odd_results_as_references(server: Sandbox, clients: dict[str, ImageClient]) -> None:
    """An ``ImageResult`` that was made by hand."""
    for result in (
        ImageResult(),
        ImageResult(base64="!"),
        ImageResult(base64="eA=="),
        ImageResult(url="x"),
        ImageResult(url=5),  # type: ignore[arg-type]
        ImageResult(base64=5),
        ImageResult(base64=b"eA=="),
        ImageResult(url="http://127.0.0.1:9/x"),
        ImageResult(base64="\ud800"),  # type: ignore[arg-type]
    ):
        for vendor in VENDORS:
            assert (
                complaint(
                    server,
                    lambda result=result, vendor=vendor: ask(clients, vendor, result)(),
                    refused=True,
                )
                == ""
            )


class Limited:
    """Fails instead of hanging: a thread does the work, and it must end in time."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.said: list[Any] = []
        self.thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self.thread.start()

    def _run(self, work: Callable[[], Any]) -> None:
        try:
            self.said.append(work())
        except Exception as error:
            self.said.append(error)


@pytest.mark.parametrize(
    "kind",
    [
        "directory",
        "missing",
        "nul",
        "dangling link",
        "link loop",
        "unreadable",
        "long name",
        "below a file",
    ],
)
def test_paths_that_are_no_files_are_refused(
    server: Sandbox, clients: dict[str, ImageClient], tmp_path: Path, kind: str
) -> None:
    """Whatever stands at the path, or does not."""
    path = tmp_path / "x"
    if kind == "directory":
        path.mkdir()
    elif kind == "dangling link":
        path.symlink_to("nowhere")
    elif kind == "link loop":
        path.symlink_to(path)
    elif kind == "unreadable":
        path = Path("/proc/self/mem")
    elif kind == "below a file":
        path.write_bytes(make())
        path = path / "y"
    elif kind == "nul":
        path = tmp_path / "a\0b"
    elif kind == "long name":
        path = tmp_path / ("x" * 5000)
    for vendor in VENDORS:
        assert outcome(server, ask(clients, vendor, path)) == "ReferenceImageError"


@pytest.mark.parametrize("kind", ["fifo", "socket"])
def test_special_files_do_not_hang(
    server: Sandbox, clients: dict[str, ImageClient], tmp_path: Path, kind: str
) -> None:
    """A pipe without a writer, a socket: not regular files, not images."""
    path = tmp_path / "x"
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listening:
        if kind == "fifo":
            os.mkfifo(path)
        else:
            listening.bind(str(path))
        work = Limited(ask(clients, "gemini", path))
        work.thread.join(AMPLE)
        hung = work.thread.is_alive()
        if hung:  # let the reader go
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
            work.thread.join(AMPLE)
        assert not hung
        assert isinstance(work.said[0], errors.ReferenceImageError)


def test_endless_files_are_refused(
    server: Sandbox, clients: dict[str, ImageClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that never ends is not read as a whole."""
    asked: list[Path] = []
    monkeypatch.setattr(Path, "read_bytes", lambda path: asked.append(path) or b"")
    assert outcome(server, ask(clients, "gemini", Path("/dev/zero"))) == "ReferenceImageError"
    assert asked == []


SEEDS = {kind: GOOD_PICTURES[kind]() for kind in GOOD_PICTURES}


@given(
    kind=st.sampled_from(sorted(SEEDS)),
    vendor=st.sampled_from(VENDORS),
    edits=st.lists(
        st.tuples(
            st.integers(0, 4000),
            st.sampled_from(["set", "drop", "double", "cut", "ff", "insert"]),
            st.integers(0, 255),
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_mutated_images_are_sent_or_refused(
    server: Sandbox,
    clients: dict[str, ImageClient],
    kind: str,
    vendor: str,
    edits: list[tuple[int, str, int]],
) -> None:
    """Bytes changed, dropped, doubled, cut."""
    data = bytearray(SEEDS[kind])
    for place, how, value in edits:
        place %= max(len(data), 1)
        if how == "set" and data:
            data[place] = value
        elif how == "ff":
            data[place : place + 4] = b"\xff\xff\xff\xff"
        elif how == "drop":
            del data[place : place + value]
        elif how == "double":
            data[place:place] = data[place : place + value]
        elif how == "cut":
            del data[place:]
        else:
            data[place:place] = bytes([value])
    assert outcome(server, ask(clients, vendor, bytes(data))) in ("ok", "ReferenceImageError")


@given(
    data=st.binary(max_size=60),
    head=st.sampled_from(
        [
            b"",
            b"\x89PNG\r\n\x1a\n",
            b"\xff\xd8\xff",
            b"GIF89a",
            b"II*\0",
            b"RIFF....WEBP",
            b"BM",
            b"\0\0\0\x1cftypavif",
            b"\0\0\0\x1cftypheic",
        ]
    ),
)
def test_any_bytes_are_sent_or_refused(
    server: Sandbox, clients: dict[str, ImageClient], data: bytes, head: bytes
) -> None:
    """Behind the first bytes of every type."""
    for vendor in VENDORS:
        assert outcome(server, ask(clients, vendor, head + data)) in ("ok", "ReferenceImageError")


@given(value=JUNK)
def test_any_reference_is_refused(
    server: Sandbox, clients: dict[str, ImageClient], value: Any
) -> None:
    """Random nesting of everything."""
    assert complaint(server, lambda: ask(clients, "gemini", value)(), refused=True) == ""


# ---- URLs


class Trap:
    """Listens on every loopback address and counts connections."""

    def __init__(self) -> None:
        self.accepted = 0
        self._sockets = [socket.create_server(("0.0.0.0", 0))]
        self.port = self._sockets[0].getsockname()[1]
        with contextlib.suppress(OSError):
            self._sockets.append(socket.create_server(("::", self.port), family=socket.AF_INET6))
        for listening in self._sockets:
            threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            self.accepted += 1
            connection.close()

    def close(self) -> None:
        for listening in self._sockets:
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()


@pytest.fixture(scope="module")
def trap() -> Iterator[Trap]:
    trap = Trap()
    yield trap
    trap.close()


HOSTS = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "0x7f.0.0.1",
    "0x7f000001",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "127.000.000.001",
    "127.0.0.1%00",
    "127.0.0.1%2f",
    "127.0.0.1%0a",
    "%31%32%37.0.0.1",
    "127%2e0%2e0%2e1",
    "１２７.０.０.１",
    "127。0。0。1",
    "127．0．0．1",
    "①②⑦.⓪.⓪.①",
    "0",
    "0.0.0.0",
    "0x0",
    "00",
    "127.255.255.254",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "LocalHost.",
    "a.localhost",
    "ｌｏｃａｌｈｏｓｔ",
    "loc\u00adalhost",
    "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2002:7f00:0001::1]",
    "[2001:0:7f00:1::]",
    "[2001:0:53aa:64c:0:0:80ff:fffe]",
    "[fe80::5efe:127.0.0.1]",
    "[2001:db8::200:5efe:7f00:1]",
    "[::1%25lo]",
    "[::1%lo]",
    "[fe80::1%25eth0]",
    "[fe80::1]",
    "[::ffff:169.254.169.254]",
    "169.254.169.254",
    "169.254.169.254.",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "169.254.170.2",
    "100.100.100.200",
    "[fd00:ec2::254]",
    "168.63.129.16",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "192.168.1",
    "10.1",
    "100.64.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "192.0.2.1",
    "[fc00::1]",
    "[ff02::1]",
    "user@127.0.0.1",
    "user:pass@127.0.0.1",
    "example.com@127.0.0.1",
    "127.0.0.1#@example.com",
    "127.0.0.1\\@example.com",
    "example.com\\@127.0.0.1",
    "127.0.0.1\t",
    "127.0\n.0.1",
    "\t127.0.0.1",
    "127.0.0.1\r\n",
    " 127.0.0.1",
    "127.0.0.1:80:80",
    "127.0.0.1:0",
    "metadata.google.internal",
    "a.internal",
    "printer.local",
    "a.lan",
    "router.home.arpa",
    "[::1",
    "::1",
    "[::g]",
    "",
    ".",
    "..",
    "-",
    "a" * 64 + ".com",
    "x" * 300,
    "\u2028",
    "\x00",
    "xn--",
    "xn--a",
    "*.com",
    "\ud800.com",
]


@pytest.mark.parametrize("scheme", ["http", "HTTP", "https", "hTTps"])
@pytest.mark.parametrize("vendor", VENDORS)
def test_no_url_leads_inside(
    server: Sandbox,
    clients: dict[str, ImageClient],
    trap: Trap,
    vendor: str,
    scheme: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In no spelling: nothing connects, and nothing is paid."""
    monkeypatch.setattr(socket, "getaddrinfo", _numbers_only)
    found = []
    for host in HOSTS:
        for url in (
            f"{scheme}://{host}:{trap.port}/x.png",
            f"{scheme}://{host}/x.png",
            f"{scheme}:\\\\{host}:{trap.port}/x.png",
        ):
            why = complaint(server, lambda url=url: ask(clients, vendor, url)(), refused=True)
            found += [f"{url!r}: {why}"] if why else []
    assert trap.accepted == 0
    assert found == []


_real = socket.getaddrinfo


def _numbers_only(host: Any, *args: Any, **kwargs: Any) -> Any:
    """
    The system's reading of a host, names other than ``localhost`` left out: no test asks a name
    server.
    """
    text = host.decode() if isinstance(host, bytes) else str(host)
    if text.rstrip(".").lower() in ("localhost", "a.localhost"):
        return _real("127.0.0.1", *args, **kwargs)
    kwargs["flags"] = kwargs.get("flags", 0) | socket.AI_NUMERICHOST
    return _real(host, *args, **kwargs)


OTHER_ADDRESSES = [
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "gopher://127.0.0.1:9/x",
    "ftp://127.0.0.1/x",
    "dict://127.0.0.1:9/x",
    "ldap://x",
    "javascript:alert(1)",
    "data:image/png,abc",
    "data:image/png;base64",
    "data:,x",
    "data:",
    "DATA:image/png;base64,eA==",
    "data:image/png;base64,!!!!",
    "data:image/png;base64,",
    "data:image/png;base64,\ud800",
    "data:text/html;base64,PGh0bWw+",
    "//127.0.0.1/x",
    "/etc/passwd",
    "C:\\x.png",
    "\\\\host\\share",
    "http:127.0.0.1",
    "http:/127.0.0.1",
    "http:///127.0.0.1/x",
    "http://",
    "https://",
    "http:",
    "https:///x",
    "http://?x",
    "http://#",
    " http://127.0.0.1",
    "\nhttp://127.0.0.1/",
    "blob:http://127.0.0.1/x",
    "http+unix://%2fvar%2frun%2fdocker.sock/x",
    "unix:/var/run/docker.sock",
    "s3://b/k",
    "gs://b/k",
    "about:blank",
    "view-source:http://x",
    "jar:http://127.0.0.1!/x",
    "http://[",
    "http://]",
    "http://[]",
    "ｈttp://127.0.0.1",
    "http∶//127.0.0.1",
    "x" * 100_000,
    "\x00",
]


@pytest.mark.parametrize("vendor", VENDORS)
def test_no_other_url_is_accepted(
    server: Sandbox,
    clients: dict[str, ImageClient],
    trap: Trap,
    vendor: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only http, https and base64 in ``data:``."""
    monkeypatch.setattr(socket, "getaddrinfo", _numbers_only)
    calls = [(url, lambda url=url: ask(clients, vendor, url)()) for url in OTHER_ADDRESSES]
    assert [
        f"{url[:60]!r}: {why}"
        for url, call in calls
        if (why := complaint(server, call, refused=True))
    ] == []
    assert trap.accepted == 0


@pytest.mark.parametrize("name", ["gemini", "bedrock", "moonshot", "glm"])
def test_no_image_in_a_message_leads_inside(
    server: Sandbox, trap: Trap, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images of messages that are fetched here pass the same guard."""
    monkeypatch.setattr(socket, "getaddrinfo", _numbers_only)
    found = []
    with ChatClient(name, timeout=AMPLE, max_retries=0, **server.chat_options(name)) as client:
        for url in [*(f"http://{host}:{trap.port}/x.png" for host in HOSTS), *OTHER_ADDRESSES]:
            message = {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": url}}],
            }
            why = complaint(server, lambda message=message: client.chat([message]))
            found += [f"{url[:60]!r}: {why}"] if why else []
    assert found == []
    assert trap.accepted == 0


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "169.254.169.254", "[::1]", "2130706433", "localhost", "[::ffff:10.0.0.1]"],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_lead_nowhere_inside(server: Sandbox, trap: Trap, host: str, status: int) -> None:
    """From a host that is trusted to one that is not."""
    options = server.image_options("gemini")
    with ImageClient(
        "gemini", timeout=AMPLE, max_retries=0, **options
    ) as client:  # base_url is the user's own word
        client._references._trusted = frozenset({("127.0.0.1", int(server.url.rpartition(":")[2]))})
        server.reset()
        server.answer(
            status, b"", headers={"location": f"http://{host}:{trap.port}/x.png"}, path="/start"
        )
        with pytest.raises(errors.ReferenceImageError):
            client.image_to_image("x", reference_images=f"{server.url}/start")
        assert [request.path for request in server.requests] == ["/start"]
        assert trap.accepted == 0


LOCATIONS = [
    "",
    "/start",
    "//",
    "http://",
    "file:///etc/passwd",
    "gopher://127.0.0.1/",
    "data:image/png;base64,eA==",
    "javascript:1",
    "http://[::1",
    "\\\\127.0.0.1\\x",
    "http://user:pass@127.0.0.1/",
    "http://127.0.0.1:99999/",
    "?" * 9000,
    "\xff\xfe",
]


@pytest.mark.parametrize("location", LOCATIONS)
def test_odd_redirects_end(server: Sandbox, location: str) -> None:
    """Loops, other schemes, nonsense."""
    with ImageClient(
        "gemini", timeout=AMPLE, max_retries=0, **server.image_options("gemini")
    ) as client:
        client._references._trusted = frozenset({("127.0.0.1", int(server.url.rpartition(":")[2]))})
        server.reset()
        server.answer(302, b"", headers={"location": location}, path="/start", times=20)
        with pytest.raises(errors.ReferenceImageError):
            client.image_to_image("x", reference_images=f"{server.url}/start")
        assert len(server.requests) <= 6
        assert {request.method for request in server.requests} == {"GET"}


@given(
    host=st.one_of(
        st.integers(0, 2**32 - 1).filter(lambda n: n >> 24 in (0, 10, 127)).map(str),
        st.integers(0, 2**24 - 1).map(lambda n: f"127.{n}"),
        st.integers(0, 2**16 - 1).map(lambda n: f"[::ffff:7f00:{n:x}]"),
        st.integers(0, 2**16 - 1).map(lambda n: f"[2002:7f00:{n:x}::1]"),
        st.tuples(
            *[st.sampled_from(["0", "00", "0x0", "1", "01", "0x1", "127", "0177", "0x7f"])] * 4
        ).map(lambda p: ".".join(("0x7f", *p[1:]))),
        st.text(st.characters(), max_size=10).map(lambda t: f"127.0.0.1{t}"),
    ),
    scheme=st.sampled_from(["http", "https"]),
    vendor=st.sampled_from(VENDORS),
)
def test_any_spelling_of_loopback_is_refused(
    server: Sandbox,
    clients: dict[str, ImageClient],
    trap: Trap,
    host: str,
    scheme: str,
    vendor: str,
) -> None:
    """Random numbers of 127/8, in every base and inside of IPv6."""
    if not host.isascii() or (
        any(char.isalpha() for char in host.removeprefix("127.0.0.1"))
        and host.startswith("127.0.0.1")
    ):
        return  # a name that would be looked up in DNS
    url = f"{scheme}://{host}:{trap.port}/x.png"
    assert complaint(server, lambda: ask(clients, vendor, url)(), refused=True) == ""
    assert trap.accepted == 0


# ---- storage

GOOD_KEYS = [
    "a/b/c.png",
    "x" * 1024,
    "é" * 512,
    "\U0001f600" * 256,
    "a b",
    "a%20b",
    "%2e%2e/x",
    "%",
    "a?b#c&d=e+f",
    "a:b",
    "a'b\"c",
    "~",
    "...",
    "..a",
    "a..",
    ".a",
    "-",
    "*",
    "|<>",
    "名前/图.png",
    "\u202eabc",
    "\u200b",
    "a\u2028b",
    "con",
    "NUL.txt",
    "a/" + "x" * 300 + "/b",
    "\ufeff",
    "a\u00a0",
    " ",
    " a",
    "a /b",
    "$(x)",
    "`x`",
    "{x}",
    "e\u0301",
    "ﬀ",
    "A",
    "\uffff",
]
BAD_KEYS = [
    "",
    "/",
    "/a",
    "a/",
    "//",
    "a//b",
    ".",
    "..",
    "../a",
    "a/..",
    "a/../b",
    "a/./b",
    "./a",
    "a\\b",
    "..\\a",
    "\\",
    "a\x00",
    "\x00",
    "a\nb",
    "a\rb",
    "\t",
    "\x7f",
    "\x80",
    "\x9f",
    "x" * 1025,
    "é" * 513,
    "\ud800",
    "a/\udfff",
    None,
    5,
    b"a",
    ["a"],
    {"a": 1},
    1.5,
    True,
    object(),
    Path("a"),
]


@pytest.fixture(scope="module")
def bucket(s3_server: str) -> Iterator[S3Storage]:
    keys = {"region_name": "us-east-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
    boto3.client("s3", endpoint_url=s3_server, **keys).create_bucket(Bucket="hostile")
    storage = S3Storage(
        "hostile",
        endpoint_url=s3_server,
        region="us-east-1",
        access_key_id="key-id",
        secret_access_key="secret",
        timeout=AMPLE,
        max_retries=0,
    )
    yield storage
    storage.close()


@pytest.fixture(scope="module")
def r2(s3_server: str, bucket: S3Storage) -> Iterator[R2Storage]:
    storage = R2Storage(
        "key-id", "secret", s3_server, "hostile", "cdn.example.com", timeout=AMPLE, max_retries=0
    )
    yield storage
    storage.close()


@pytest.fixture
def stores(tmp_path: Path, bucket: S3Storage, r2: R2Storage) -> dict[str, Storage]:
    return {"local": LocalStorage(tmp_path / "root"), "s3": bucket, "r2": r2}


@pytest.mark.parametrize("kind", ["local", "s3", "r2"])
def test_good_keys_come_back(stores: dict[str, Storage], kind: str) -> None:
    """Each is an object of its own, and its bytes are what was stored."""
    store = stores[kind]
    keys = [
        key
        for key in GOOD_KEYS
        if kind != "local" or not any(map(_refused_by_windows, key.split("/")))
    ]
    assert len(keys) > len(GOOD_KEYS) // 2
    for number, key in enumerate(keys):
        stored = store.upload_bytes(f"{number}".encode(), key, content_type="text/plain")
        assert stored.key == unicodedata.normalize("NFC", key)
        assert stored.url.isascii()
    for number, key in enumerate(keys):
        found = store.exists(key)
        assert found is not None, key
        assert (found.size, found.content_type) == (len(f"{number}"), "text/plain")


@pytest.mark.parametrize("kind", ["local", "s3", "r2"])
@pytest.mark.parametrize("key", BAD_KEYS)
def test_bad_keys_are_refused(stores: dict[str, Storage], kind: str, key: Any) -> None:
    """By every store and every method, before anything is written."""
    store = stores[kind]
    for call in (
        lambda: store.upload_bytes(b"x", key, content_type="image/png"),
        lambda: store.upload_base64("eA==", key, content_type="image/png"),
        lambda: store.exists(key),
    ):
        with pytest.raises(errors.InvalidInputError):
            call()


@pytest.mark.parametrize("kind", ["local", "s3", "r2"])
def test_equivalent_keys_are_one_object(stores: dict[str, Storage], kind: str) -> None:
    """Composed and decomposed letters are the same key."""
    store = stores[kind]
    store.upload_bytes(b"12345", "caf\u00e9.png", content_type="image/png")
    found = store.exists("cafe\u0301.png")
    assert found is not None
    assert (found.key, found.size) == ("caf\u00e9.png", 5)


@pytest.mark.parametrize("kind", ["local", "s3", "r2"])
def test_odd_data_is_refused(stores: dict[str, Storage], kind: str) -> None:
    """Data that is not bytes, and text that is not base64."""
    found = []
    for name, make_odd in {**ODD, **EXTREME}.items():
        for call in (stores[kind].upload_bytes, stores[kind].upload_base64):
            if call == stores[kind].upload_bytes and name in ("bytes", "bytearray"):
                continue
            try:
                call(make_odd(), "odd", content_type="image/png")
            except errors.InvalidInputError:
                continue
            except Exception as error:
                found.append(f"{call.__name__} {name}: {type(error).__name__}")
            else:
                found += [f"{call.__name__} {name}: taken"] if name not in ("empty text",) else []
    assert found == []


@pytest.mark.parametrize("kind", ["local", "s3", "r2"])
def test_views_are_stored_as_bytes(stores: dict[str, Storage], kind: str) -> None:
    """Also those with gaps and with items of several bytes; ``size`` counts bytes."""
    store = stores[kind]
    for view in (
        memoryview(b"abcdef"),
        memoryview(b"abcdef")[::2],
        memoryview(b"abcdefgh").cast("I"),
        bytearray(b"abc"),
    ):
        want = bytes(view)
        stored = store.upload_bytes(view, "view", content_type="image/png")  # type: ignore[arg-type]
        assert stored.size == len(want)
        found = store.exists("view")
        assert found is not None
        assert found.size == len(want)


CONTENT_TYPES = [
    "image/png\r\nX-Injected: 1",
    "a\nb",
    "a\x00b",
    "\x7f",
    "é",
    "\ud800",
    "\u2028",
    "",
    None,
    5,
    b"image/png",
    ["image/png"],
    object(),
]


@pytest.mark.parametrize("kind", ["local", "s3", "r2"])
@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_bad_content_types_are_refused(
    stores: dict[str, Storage], kind: str, content_type: Any
) -> None:
    """Before anything is written: no header can carry them."""
    key = f"typed/{CONTENT_TYPES.index(content_type)}"
    with pytest.raises(errors.InvalidInputError):
        stores[kind].upload_bytes(b"x", key, content_type=content_type)
    assert stores[kind].exists(key) is None


@given(
    key=st.one_of(
        st.text(st.characters(), max_size=30), st.text("ab./\\%~ \n\x00\u0301é", max_size=12)
    ),
    data=st.binary(max_size=4),
)
def test_any_key_stays_inside(
    tmp_path_factory: pytest.TempPathFactory, key: str, data: bytes
) -> None:
    """
    A key is refused, or its object is below the root and can be read; nothing else appears
    anywhere.
    """
    base = tmp_path_factory.getbasetemp() / "any"
    store = LocalStorage(base / "root")
    try:
        stored = store.upload_bytes(data, key, content_type="image/png")
    except errors.InvalidInputError:
        return
    except errors.StorageError:  # a file where another key wants a directory
        return
    found = store.exists(key)
    assert found is not None
    assert (found.size, found.url) == (len(data), stored.url)
    assert os.listdir(base) == ["root"]


@pytest.mark.parametrize("link", ["parent", "absolute", "to a file", "loop", "deep"])
def test_links_lead_nowhere_outside(tmp_path: Path, link: str) -> None:
    """Files outside the root are not changed, whatever links are inside."""
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    root.mkdir()
    (outside / "victim").write_bytes(b"untouched")
    key = "link/victim"
    if link == "parent":
        (root / "link").symlink_to("../outside")
    elif link == "absolute":
        (root / "link").symlink_to(outside)
    elif link == "to a file":
        key = "link"
        (root / "link").symlink_to(outside / "victim")
    elif link == "loop":
        (root / "link").symlink_to(root / "link")
    else:
        (root / "a").mkdir()
        (root / "a" / "link").symlink_to("../../outside")
        key = "a/link/new/victim"
    store = LocalStorage(root)
    with contextlib.suppress(errors.InvalidInputError, errors.StorageError):
        store.upload_bytes(b"changed", key, content_type="image/png")
    with contextlib.suppress(errors.InvalidInputError, errors.StorageError):
        store.exists(key)
    assert (outside / "victim").read_bytes() == b"untouched"
    assert os.listdir(outside) == ["victim"]


@pytest.mark.parametrize("field", ["root", "base_url"])
def test_odd_options_of_a_local_store(tmp_path: Path, field: str) -> None:
    """Refused, or a store."""
    found = []
    for name, make_odd in ODD.items():
        if field == "root" and name in ("text", "unicode", "empty text", "crlf", "surrogate"):
            continue
        try:
            LocalStorage(**{"root": tmp_path, field: make_odd()})
        except REFUSED:
            continue
        except Exception as error:
            found.append(f"{name}: {type(error).__name__}")
        else:
            found += [f"{name}: taken"] if name not in ("text", "unicode") else []
    assert found == []


R2_FIELDS = [
    "access_key_id",
    "access_key_secret",
    "endpoint",
    "bucket",
    "public_domain",
    "timeout",
    "max_retries",
]


@pytest.mark.parametrize("field", R2_FIELDS)
def test_odd_options_of_r2(s3_server: str, field: str) -> None:
    """Refused when it is made, or an error of the library when it is used."""
    found = []
    for name, make_odd in ODD.items():
        options = {
            "access_key_id": "a",
            "access_key_secret": "b",
            "endpoint": s3_server,
            "bucket": "hostile",
            "public_domain": "x.example.com",
            "timeout": AMPLE,
            "max_retries": 0,
            field: make_odd(),
        }
        if field == "endpoint" and name in ("text", "unicode"):
            continue
        try:
            with R2Storage(**options) as store:
                store.exists("a")
        except errors.AIGCError:
            continue
        except Exception as error:
            found.append(f"{name}: {type(error).__name__}")
    assert found == []
