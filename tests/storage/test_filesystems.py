"""File systems of fsspec: the contract on one in memory and one on disk, and what is refused."""

from __future__ import annotations

import pickle
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from aigc_kit.errors import ConfigurationError, StorageError
from aigc_kit.storage import FsspecStorage, Storage
from tests.storage.contract import Reader, StorageContract

PUBLIC = "https://assets.example.com/p"


class Signing(MemoryFileSystem):
    """One that signs, as those of Google and Azure do."""

    cachable = False

    def sign(self, path: str, expiration: int = 100, **kwargs: Any) -> str:
        return f"https://storage.example.com{path}?X-Expires={expiration}"


class Broken(MemoryFileSystem):
    cachable = False

    def pipe_file(self, *args: Any, **kwargs: Any) -> None:
        raise ConnectionError("the network is down")


class TestInMemory(StorageContract):
    @pytest.fixture
    def storage(self) -> Iterator[Storage]:
        with FsspecStorage("memory://pictures", public_base_url=PUBLIC) as storage:
            yield storage
        MemoryFileSystem.store.clear()
        MemoryFileSystem.pseudo_dirs[:] = [""]

    @pytest.fixture
    def read(self) -> Reader:
        return lambda key: MemoryFileSystem.store[f"/pictures/{key}"].getvalue()


class TestOnDisk(StorageContract):
    """Names are no longer than the file system's own: ``LocalStorage`` is for those."""

    @pytest.mark.parametrize(
        "key", ["a.png", "图片/橘猫 1.png", "a+b (c)~!'*&=@:,;$.png", "%41.png"]
    )
    def test_what_was_stored_can_be_read(self, storage: Storage, read: Reader, key: str) -> None:
        super().test_what_was_stored_can_be_read(storage, read, key)

    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[Storage]:
        with FsspecStorage(f"file://{tmp_path}", public_base_url=PUBLIC) as storage:
            yield storage

    @pytest.fixture
    def read(self, tmp_path: Path) -> Reader:
        return lambda key: (tmp_path / key).read_bytes()


def test_urls() -> None:
    """Public ones are quoted once; signed ones say when they end."""
    with FsspecStorage("memory://p", public_base_url=PUBLIC) as store:
        stored = store.upload_bytes(b"x", "a b/猫.png", content_type="image/png")
        assert (stored.url, stored.expires_at) == (PUBLIC + "/a%20b/%E7%8C%AB.png", "")
    with FsspecStorage("p", filesystem=Signing(), expires=600) as store:
        stored = store.upload_bytes(b"x", "a.png", content_type="image/png")
        assert stored.url == "https://storage.example.com/p/a.png?X-Expires=600"
        assert stored.expires_at


def test_half_of_a_file_is_never_seen(tmp_path: Path) -> None:
    """Where a file system does not put an object in one step, it is moved in."""

    class Halves(type(fsspec.filesystem("file"))):  # type: ignore[misc]
        cachable = False

        def pipe_file(self, path: str, value: bytes, *args: Any, **kwargs: Any) -> None:
            super().pipe_file(path, value[: len(value) // 2], *args, **kwargs)
            raise OSError("disk full")

    store = FsspecStorage(str(tmp_path), filesystem=Halves(), public_base_url=PUBLIC)
    with pytest.raises(StorageError, match="disk full"):
        store.upload_bytes(b"whole", "a.png", content_type="image/png")
    assert store.exists("a.png") is None
    assert list(tmp_path.iterdir()) == []


def test_failures_are_typed() -> None:
    store = FsspecStorage("p", filesystem=Broken(), public_base_url=PUBLIC)
    with pytest.raises(StorageError, match="ConnectionError: the network is down") as caught:
        store.upload_bytes(b"x", "a.png", content_type="image/png")
    assert caught.value.retryable
    store.discard("not-there.png")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"root": "memory://p"}, "no signed URLs: pass public_base_url"),
        ({"root": "pictures", "public_base_url": PUBLIC}, "LocalStorage keeps files"),
        ({"root": "nosuch://p", "public_base_url": PUBLIC}, "nosuch"),
        ({"root": 5, "public_base_url": PUBLIC}, "root must be a URL"),
        ({"root": "memory://p", "public_base_url": PUBLIC, "expires": 604_801}, "604800"),
    ],
)
def test_what_is_refused_at_once(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        FsspecStorage(**options)


def test_a_worker_can_have_it() -> None:
    store = FsspecStorage(
        "memory://p", public_base_url=PUBLIC, storage_options={"asynchronous": False}
    )
    again = pickle.loads(pickle.dumps(store))
    again.upload_bytes(b"x", "sent.png", content_type="image/png")
    found = store.exists("sent.png")
    assert found is not None
    assert found.url == PUBLIC + "/sent.png"


class Talkative(MemoryFileSystem):
    """One that shows its key in its errors, and takes any option."""

    cachable = False

    def __init__(self, *args: Any, account_key: str = "", **kwargs: Any) -> None:
        super().__init__(*args)
        self.account_key, self.given = account_key, kwargs

    def pipe_file(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError(f"401 for {self.account_key}")


@pytest.fixture
def talkative() -> None:
    fsspec.register_implementation("talkative", Talkative, clobber=True)


def test_credentials_reach_the_file_system_and_nobody_else(talkative: None) -> None:
    options = {"account_key": "canary-key", "nested": {"api_key": "canary-nested"}}
    store = FsspecStorage("talkative://p", public_base_url=PUBLIC, storage_options=options)
    assert store._fs.account_key == "canary-key"
    assert store._fs.given == {"nested": {"api_key": "canary-nested"}}
    assert "canary" not in repr(store._made_from)
    with pytest.raises(StorageError) as caught:
        store.upload_bytes(b"x", "a.png", content_type="image/png")
    assert "canary" not in str(caught.value)
    with pytest.raises(ConfigurationError) as refused:
        FsspecStorage("nosuch://user:canary@127.0.0.1/x", public_base_url=PUBLIC)
    assert "canary" not in str(refused.value)


def test_a_file_system_that_only_pretends_to_sign_is_refused() -> None:
    """Before anything is paid for."""

    class Refusing(MemoryFileSystem):
        cachable = False

        def sign(self, *args: Any, **kwargs: Any) -> str:
            raise NotImplementedError("Sign is not implemented")

    class Nothing(MemoryFileSystem):
        cachable = False

        def sign(self, *args: Any, **kwargs: Any) -> None:
            return None

    for kind in (Refusing, Nothing):
        with pytest.raises(ConfigurationError, match="no signed URLs"):
            FsspecStorage("p", filesystem=kind())


def test_the_root_directory_is_the_root(tmp_path: Path) -> None:
    store = FsspecStorage("/", filesystem=fsspec.filesystem("file"), public_base_url=PUBLIC)
    assert store._path("a/b.png") == "/a/b.png"


def test_a_time_limit_of_the_application_comes_out() -> None:
    class Late(Exception):
        pass

    def handler(*_: object) -> None:
        raise Late

    class Slow(MemoryFileSystem):
        cachable = False

        def pipe_file(self, *args: Any, **kwargs: Any) -> None:
            time.sleep(5)

    store = FsspecStorage("p", filesystem=Slow(), public_base_url=PUBLIC)
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(Late):
            store.upload_bytes(b"x", "a.png", content_type="image/png")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
