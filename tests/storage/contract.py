"""
What every storage does. Subclass it, give a ``storage`` fixture and say how to read an object back.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from aigc_kit.errors import InvalidInputError
from aigc_kit.storage import Storage

Reader = Callable[[str], bytes]
"""key -> the bytes that lie in the store."""


class StorageContract:
    @pytest.mark.parametrize(
        "key",
        [
            "a.png",
            "aigc/images/x.jpg",
            "图片/橘猫 1.png",
            "a+b (c)~!'*&=@:,;$.png",
            "%41%2F.png",
            "é.png",
            "k" * 1024,
            "dir.with.dots/..file",
            "emoji/🐱.webp",
            "a" * 300 + "/" + "b" * 300,
        ],
    )
    def test_what_was_stored_can_be_read(self, storage: Storage, read: Reader, key: str) -> None:
        """Bytes, size, type and key come back for keys of any letters."""
        stored = storage.upload_bytes(b"bytes of " + key.encode(), key, content_type="image/png")
        assert read(key) == b"bytes of " + key.encode()
        assert (stored.key, stored.size, stored.content_type) == (
            key,
            len(b"bytes of " + key.encode()),
            "image/png",
        )
        found = storage.exists(key)
        assert found is not None
        assert (found.url, found.key, found.size, found.etag) == (
            stored.url,
            key,
            stored.size,
            stored.etag,
        )

    def test_the_type_is_kept(self, storage: Storage) -> None:
        """Also by the name of the key."""
        storage.upload_bytes(b"x", "t.webp", content_type="image/webp")
        found = storage.exists("t.webp")
        assert found is not None
        assert found.content_type == "image/webp"

    def test_what_is_not_there_is_none(self, storage: Storage) -> None:
        """No error, and no half-true parent."""
        storage.upload_bytes(b"x", "there/x", content_type="text/plain")
        assert storage.exists("not/there.png") is None
        assert storage.exists("there") is None
        assert storage.exists("there/x/y") is None

    def test_a_second_upload_replaces_the_first(self, storage: Storage, read: Reader) -> None:
        """Completely; the URL does not change."""
        first = storage.upload_bytes(b"a" * 1000, "k.png", content_type="image/png")
        second = storage.upload_bytes(b"b", "k.png", content_type="image/png")
        assert read("k.png") == b"b"
        assert first.url == second.url
        assert second.size == 1

    @pytest.mark.parametrize("size", [0, 1, 65536, 9 * 1024 * 1024])
    def test_any_size(self, storage: Storage, read: Reader, size: int) -> None:
        """Nothing, and more than a part of a multipart upload."""
        data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        assert (
            storage.upload_bytes(data, "size.bin", content_type="application/octet-stream").size
            == size
        )
        assert read("size.bin") == data

    def test_a_digest_that_is_known(self, storage: Storage, read: Reader) -> None:
        """The same as an upload that counts it."""
        data = b"known" * 100
        digest = hashlib.sha256(data).digest()
        known = storage.upload_hashed(data, "known/a.png", content_type="image/png", sha256=digest)
        again = storage.upload_bytes(data, "known/a.png", content_type="image/png")
        assert replace(known, etag="") == replace(again, etag="")
        assert read("known/a.png") == data
        with pytest.raises(InvalidInputError):
            storage.upload_hashed(data, "/bad", content_type="image/png", sha256=digest)

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_any_kind_of_bytes(self, storage: Storage, read: Reader, kind: type) -> None:
        """``bytes``, ``bytearray``, ``memoryview``."""
        storage.upload_bytes(kind(b"abc"), "kind.bin", content_type="text/plain")
        assert read("kind.bin") == b"abc"

    @pytest.mark.parametrize("data", ["text", None, 5, ["x"]])
    def test_what_is_no_bytes_is_refused(self, storage: Storage, data: object) -> None:
        """Text above all."""
        with pytest.raises(InvalidInputError, match="data must be bytes"):
            storage.upload_bytes(data, "x", content_type="text/plain")  # type: ignore[arg-type]

    def test_base64(self, storage: Storage, read: Reader) -> None:
        """Either alphabet, padded or not, or a whole data URI."""
        data = bytes(range(256))
        standard = base64.b64encode(data).decode()
        for text in (
            standard,
            base64.urlsafe_b64encode(data).decode().rstrip("="),
            "data:image/png;base64," + standard,
        ):
            storage.upload_base64(text, "b64.png", content_type="image/png")
            assert read("b64.png") == data
        for bad in ("!!", "data:image/png,x", None, 5):
            with pytest.raises(InvalidInputError, match="base64"):
                storage.upload_base64(bad, "b64.png", content_type="image/png")  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "key",
        [
            "",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/./b",
            "a/../b",
            "../../etc/passwd",
            "a\\b",
            "..\\x",
            "a\0b",
            "a\nb",
            "a\x7fb",
            "k" * 1025,
            "é" * 513,
            "\ud800",
            None,
            5,
        ],
    )
    def test_keys_that_are_refused(self, storage: Storage, key: object) -> None:
        """The same rules everywhere, for writing and for looking."""
        with pytest.raises(InvalidInputError, match="storage key"):
            storage.upload_bytes(b"x", key, content_type="text/plain")  # type: ignore[arg-type]
        with pytest.raises(InvalidInputError, match="storage key"):
            storage.exists(key)  # type: ignore[arg-type]

    def test_composed_and_decomposed_letters_are_one_key(self, storage: Storage) -> None:
        """R2 normalises to NFC; so does every store here."""
        stored = storage.upload_bytes(b"x", "cafe\u0301.png", content_type="image/png")
        assert stored.key == "caf\u00e9.png"
        found = storage.exists("caf\u00e9.png")
        assert found is not None
        assert found.url == stored.url

    def test_shared_by_threads(self, storage: Storage, read: Reader) -> None:
        """Sixteen uploads at once, some to the same key."""
        failures: list[BaseException] = []

        def upload(number: int) -> None:
            try:
                storage.upload_bytes(
                    bytes([number]) * 5000, f"thread/{number % 8}", content_type="text/plain"
                )
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=upload, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        for number in range(8):
            assert read(f"thread/{number}") in (bytes([number]) * 5000, bytes([number + 8]) * 5000)

    def test_closing_is_no_end(self, storage: Storage) -> None:
        """``close`` gives connections back; the store can still be used."""
        with storage:
            storage.upload_bytes(b"x", "c.png", content_type="image/png")
        storage.close()
        assert storage.exists("c.png") is not None
