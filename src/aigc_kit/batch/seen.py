"""A table from ids to short texts that does not live in memory."""

from __future__ import annotations

import sqlite3
from hashlib import blake2b
from types import TracebackType

from aigc_kit.errors import StorageError

_CACHE_KIB = 2048


class Seen:
    """
    Ids, each with a short text. Used by one thread; close it, or use it as a context manager.

    A million ids in a set are 100 MB. This is SQLite's temporary database: a bounded cache, and a
    nameless file that ends with the process. Source: https://www.sqlite.org/inmemorydb.html
    ("Temporary Databases"), read 2026-11-26.
    """

    def __init__(self) -> None:
        # Used by one thread; the garbage collector may close it in another one.
        self._table = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for statement in (
            f"PRAGMA cache_size = -{_CACHE_KIB}",
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "CREATE TABLE seen (id BLOB PRIMARY KEY, word TEXT) WITHOUT ROWID",
            "BEGIN",
        ):
            self._table.execute(statement)

    def get(self, name: str) -> str | None:
        """The text of this id, or None."""
        found = self._table.execute("SELECT word FROM seen WHERE id = ?", (_digest(name),))
        row = found.fetchone()
        return None if row is None else str(row[0])

    def put(self, name: str, word: str) -> None:
        """
        Remember this, in place of what was known.

        Raises:
            StorageError: there is no room.
        """
        try:
            self._table.execute("INSERT OR REPLACE INTO seen VALUES (?, ?)", (_digest(name), word))
        except sqlite3.Error as error:
            raise StorageError(
                f"the table of ids cannot be written to the temporary directory: {error};"
                " SQLITE_TMPDIR names another one"
            ) from error

    def counts(self) -> dict[str, int]:
        """Text -> how many ids have it."""
        rows = self._table.execute("SELECT word, count(*) FROM seen GROUP BY word").fetchall()
        return {str(word): int(count) for word, count in rows}

    def close(self) -> None:
        """Forget everything."""
        self._table.close()

    def __enter__(self) -> Seen:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _digest(name: str) -> bytes:
    """Ids have any length; 16 bytes of two different ones are not the same by chance."""
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()
