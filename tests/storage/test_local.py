"""The local store: the contract, and what is its own."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from aigc_kit.errors import ConfigurationError, InvalidInputError, StorageError
from aigc_kit.storage import LocalStorage, Storage
from tests.storage.contract import Reader, StorageContract


class TestLocalStorage(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        return LocalStorage(tmp_path / "root")

    @pytest.fixture
    def read(self, storage: LocalStorage) -> Reader:
        def read(key: str) -> bytes:
            found = storage.exists(key)
            assert found is not None
            return Path(unquote(urlsplit(found.url).path)).read_bytes()

        return read


def test_public_urls(tmp_path: Path) -> None:
    """With a base the URL is the web server's, quoted once."""
    storage = LocalStorage(tmp_path, base_url="http://localhost:8000/images/")
    assert storage.upload_bytes(b"x", "猫 1.png", content_type="image/png").url == (
        "http://localhost:8000/images/%E7%8C%AB%201.png"
    )
    assert storage.origins == ("http://localhost:8000/images",)
    assert LocalStorage(tmp_path).origins == ()
    with pytest.raises(ConfigurationError, match="base_url"):
        LocalStorage(tmp_path, base_url="http://x?y")


def test_links_do_not_lead_out(tmp_path: Path) -> None:
    """A symbolic link inside of the root cannot be written through."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "way").symlink_to(outside)
    with pytest.raises(InvalidInputError, match="leads out"):
        LocalStorage(root).upload_bytes(b"x", "way/x.png", content_type="image/png")
    assert list(outside.iterdir()) == []


def test_readers_never_see_half(tmp_path: Path) -> None:
    """While one thread writes, another sees the old object or the new one."""
    storage = LocalStorage(tmp_path)
    sizes = (100, 400_000)
    storage.upload_bytes(b"a" * sizes[0], "k", content_type="text/plain")
    seen: set[int] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.add(len((tmp_path / "k").read_bytes()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for turn in range(60):
        storage.upload_bytes(b"a" * sizes[turn % 2], "k", content_type="text/plain")
    done.set()
    watcher.join()
    assert seen <= set(sizes)


def test_failures_are_storage_errors_and_leave_nothing(tmp_path: Path) -> None:
    """A file where a directory must be; no temporary file stays behind."""
    storage = LocalStorage(tmp_path)
    storage.upload_bytes(b"x", "a", content_type="text/plain")
    with pytest.raises(StorageError) as caught:
        storage.upload_bytes(b"x", "a/b", content_type="text/plain")
    assert caught.value.key == "a/b"
    assert isinstance(caught.value, OSError)
    storage.upload_bytes(b"x", "d/e", content_type="text/plain")
    with pytest.raises(StorageError):
        storage.upload_bytes(b"x", "d", content_type="text/plain")
    assert sorted(entry.name for entry in tmp_path.rglob("*")) == ["a", "d", "e"]


def test_the_root_is_checked(tmp_path: Path) -> None:
    """A file is not a root; stored files are readable by others."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigurationError, match="is a file"):
        LocalStorage(tmp_path / "file")
    LocalStorage(tmp_path / "r").upload_bytes(b"x", "k", content_type="text/plain")
    assert os.stat(tmp_path / "r" / "k").st_mode & 0o777 == 0o644
    assert "r'" in repr(LocalStorage(tmp_path / "r"))


def test_types_without_attributes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file system keeps no attributes the extension gives the type."""

    def refuse(*args: object) -> None:
        raise OSError("not supported")

    monkeypatch.setattr(os, "setxattr", refuse)
    storage = LocalStorage(tmp_path)
    for key, kind in (
        ("x.webp", "image/webp"),
        ("x.txt", "text/plain"),
        ("x", "application/octet-stream"),
    ):
        storage.upload_bytes(b"x", key, content_type=kind)
        found = storage.exists(key)
        assert found is not None
        assert found.content_type == kind
