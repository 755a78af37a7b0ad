"""The download guard: addresses in every spelling, redirects, rebinding, size and time."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import pytest

from aigc_kit.transport.download import (
    Downloader,
    DownloadError,
)
from tests.images import make
from tests.waits import within
from tests.wire import AMPLE, SHORT, Reset, Wire, http

PNG = make()


@pytest.fixture
def open_door(wire: Wire) -> Iterator[Downloader]:
    downloader = Downloader(trusted=[("127.0.0.1", wire.port)])
    yield downloader
    downloader.close()


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::]",
        "0",
        "127。0。0。1",
        "0.0.0.0",
    ],
)
def test_loopback_in_every_spelling(wire: Wire, host: str) -> None:
    """Whatever the resolver makes of it is checked where the connection is made."""
    downloader = Downloader()
    with pytest.raises(DownloadError) as caught:
        downloader.fetch(f"http://{host}:{wire.port}/x", timeout=AMPLE)
    downloader.close()
    assert wire.requests == []
    assert caught.value.refused or "cannot be" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x/y",
        "file:///etc/passwd",
        "gopher://x",
        "data:image/png;base64,aa",
        "http:///x",
        "http://u:p@h/x",
        "http://h:0/",
        "http://h:99999/",
        "http://exa mple/",
        "http://h/\r\nX: 1",
        "http://[::1",
        "//x/y",
        "",
        "http://h\\@x/",
        "http://①②⑦.0.0.1/",
    ],
)
def test_a_url_that_is_not_plain_is_refused(url: str) -> None:
    """Other schemes, credentials, control characters; credentials are not repeated."""
    downloader = Downloader(resolve=lambda host, port: ["8.8.8.8"])
    with pytest.raises(DownloadError) as caught:
        downloader.fetch(url, timeout=AMPLE)
    downloader.close()
    assert caught.value.refused
    assert "u:p" not in str(caught.value)


def test_one_bad_answer_spoils_the_name(wire: Wire) -> None:
    """A name with a public and a private address is refused."""
    downloader = Downloader(resolve=lambda host, port: ["8.8.8.8", "127.0.0.1"])
    with pytest.raises(DownloadError, match="refused"):
        downloader.fetch(f"http://cdn.example.com:{wire.port}/x", timeout=AMPLE)
    downloader.close()


def test_rebinding_changes_nothing(wire: Wire) -> None:
    """
    The address that was checked is the one that is connected to: the name is resolved once a
    connection.
    """
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) > 1 else ["192.0.2.1"]

    downloader = Downloader(resolve=resolve)
    for _ in range(2):
        with pytest.raises(DownloadError, match="refused"):
            downloader.fetch(f"http://rebind.example:{wire.port}/x", timeout=AMPLE)
    downloader.close()
    assert wire.requests == []


def test_a_good_image(wire: Wire, open_door: Downloader) -> None:
    """Requested without compression, credentials or cookies; the query is sent byte for byte."""
    wire.script(http(200, PNG, headers={"content-type": "image/png; x=y", "set-cookie": "a=b"}))
    for _ in range(2):
        found = open_door.fetch(f"{wire.url}/a%2Fb?sig=a%2Fb&c=%7E", timeout=AMPLE)
    assert (found.data, found.content_type) == (PNG, "image/png")
    head = wire.requests[1].lower()
    assert head.startswith(b"get /a%2fb?sig=a%2fb&c=%7e ")
    assert b"accept-encoding: identity" in head
    assert b"cookie" not in head
    assert b"authorization" not in head


def test_redirects_are_checked_again(wire: Wire, open_door: Downloader) -> None:
    """To a forbidden address, in circles, or to another scheme."""
    for target, match in (
        ("http://169.254.169.254/latest", "refused"),
        ("http://localhost:1/x", "refused"),
        (f"{wire.url}/again", "more than 4 times"),
        ("file:///etc/passwd", "not an http"),
        ("", "not followed"),
    ):
        wire.scripts[:] = []
        wire.requests.clear()
        wire.script(http(302, b"", headers={"location": target}))
        with pytest.raises(DownloadError, match=match):
            open_door.fetch(f"{wire.url}/x", timeout=AMPLE)


def test_a_redirect_is_followed(wire: Wire, open_door: Downloader) -> None:
    """A relative one."""
    wire.script(http(301, b"", headers={"location": "/there"}))
    wire.script(http(200, PNG))
    assert open_door.fetch(f"{wire.url}/x", timeout=AMPLE).data == PNG
    assert wire.requests[1].startswith(b"GET /there ")


@pytest.mark.parametrize("status", [201, 204, 304, 400, 401, 403, 404, 429, 500, 503])
def test_only_200_is_a_image(wire: Wire, open_door: Downloader, status: int) -> None:
    """Everything else is an error with the status."""
    wire.script(http(status, b""))
    with pytest.raises(DownloadError, match=str(status)):
        open_door.fetch(f"{wire.url}/x", timeout=AMPLE)


def test_size_is_capped(wire: Wire, open_door: Downloader) -> None:
    """By the header where it is there, by counting where it is not."""
    wire.script(http(200, b"", length=10**12))
    wire.script(http(200, b"x" * 200_000, length=-1))
    for _ in range(2):
        with pytest.raises(DownloadError, match=r"limit is 1000|longer than 1000"):
            open_door.fetch(f"{wire.url}/x", timeout=AMPLE, limit=1000)


def test_compressed_bodies_are_refused(wire: Wire, open_door: Downloader) -> None:
    """gzip was not requested, and can hold a bomb."""
    wire.script(http(200, gzip.compress(b"\0" * 10**7), headers={"content-encoding": "gzip"}))
    with pytest.raises(DownloadError, match="compressed"):
        open_door.fetch(f"{wire.url}/x", timeout=AMPLE)


@pytest.mark.parametrize(
    "steps",
    [
        (3600.0,),
        (http(200, PNG)[:60], 3600.0),
        tuple(x for b in http(200, PNG) for x in (bytes([b]), 0.05)),
    ],
)
def test_time_is_capped(
    wire: Wire, open_door: Downloader, steps: tuple[bytes | float, ...]
) -> None:
    """One deadline for head and body, however slowly they drip."""
    wire.script(*steps)
    with within(SHORT), pytest.raises(DownloadError):
        open_door.fetch(f"{wire.url}/x", timeout=SHORT)


def test_cuts_are_errors(wire: Wire, open_door: Downloader) -> None:
    """Short bodies and resets."""
    wire.script(http(200, PNG[:20], length=500), Reset)
    wire.script(Reset)
    for _ in range(2):
        with pytest.raises(DownloadError) as caught:
            open_door.fetch(f"{wire.url}/x", timeout=AMPLE)
        assert caught.value.retryable


def test_environment_proxies_do_not_go_around_the_guard(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP_PROXY is ignored."""
    monkeypatch.setenv("HTTP_PROXY", wire.url)
    monkeypatch.setenv("ALL_PROXY", wire.url)
    downloader = Downloader()
    with pytest.raises(DownloadError, match="refused"):
        downloader.fetch("http://127.0.0.1:9/x", timeout=AMPLE)
    downloader.close()
    assert wire.requests == []


def test_unresolvable_names(open_door: Downloader) -> None:
    """Names that DNS does not take, or does not know."""
    for url in ("http://a..b/x", "http://" + "a" * 70 + ".example/x", "http://nowhere.invalid/x"):
        with pytest.raises(DownloadError):
            open_door.fetch(url, timeout=AMPLE)
