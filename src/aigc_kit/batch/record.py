"""From the outcome of a job to its line in the manifest."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from aigc_kit.batch.jobs import Job
from aigc_kit.batch.line import Line, plain, utc
from aigc_kit.batch.manifest import VECTORS
from aigc_kit.batch.worker import Outcome


class Places:
    """Where the results of a run are, as its directory sees it."""

    def __init__(self, folder: Path, storage: Any) -> None:
        """
        Args:
            storage: the images' store; a local one has a ``root`` and perhaps a ``base_url``.
        """
        self._folder = folder
        root = getattr(storage, "root", None)
        self._root = root if isinstance(root, Path) else None
        self._base = str(getattr(storage, "base_url", "") or "")

    def path_of(self, url: str) -> str | None:
        """The path of a stored object relative to the run's directory; None for a remote one."""
        path: Path | None = None
        if url.startswith("file:"):
            path = Path(url2pathname(urlsplit(url).path))
        elif self._root is not None and self._base and url.startswith(f"{self._base}/"):
            path = self._root / unquote(url[len(self._base) + 1 :])
        if path is None:
            return None
        try:
            return Path(os.path.relpath(path, self._folder)).as_posix()
        except ValueError:  # another drive of Windows
            return path.as_posix()

    def thumbnail_of(self, metadata: dict[str, Any]) -> str | None:
        """The smallest rendition: its path, or its URL."""
        found = metadata.get("renditions")
        copies = [copy for copy in found.values() if isinstance(copy, dict)] if found else []
        urls = [(int(copy.get("width") or 0), str(copy.get("url") or "")) for copy in copies]
        url = min((entry for entry in urls if entry[1]), default=(0, ""))[1]
        return (self.path_of(url) or url) if url else None


def line_of(job: Job, outcome: Outcome, attempts: int, places: Places) -> Line:
    """The line of a job that ended like this after so many attempts."""
    metadata = {**outcome.metadata, "digest": job.digest}
    if job.metadata:
        metadata["job"] = plain(job.metadata)
    if job.kind == "embedding" and outcome.vectors is not None:
        file: str | None = VECTORS
    else:
        file = places.path_of(outcome.url)
    return Line(
        id=job.id,
        kind=job.kind,
        status=outcome.status,
        provider=outcome.provider,
        model=outcome.model,
        prompt=job.prompt,
        size=job.size,
        url=outcome.url,
        storage_key=str(outcome.metadata.get("storage_key") or ""),
        file=file,
        thumbnail=places.thumbnail_of(outcome.metadata),
        cost=outcome.cost,
        error=outcome.error,
        attempts=attempts,
        metadata=metadata,
        started=utc(outcome.started),
        seconds=outcome.seconds,
    )
