"""What every vendor's batches have in common: a file goes up, a batch is made of it, files come down."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aigc_kit.errors import ConnectionFailedError, InvalidReplyError, ProviderError
from aigc_kit.settings import Secret
from aigc_kit.transport.clients import HttpTransport
from aigc_kit.transport.deadline import Deadline, WireError, deadline_of
from aigc_kit.transport.encoding import BROKEN, loaded
from aigc_kit.transport.failures import RequestContext, Verdict, error_of, failure_of
from aigc_kit.transport.offline import Taken

SECONDS = 120.0
"""For one request of the protocol; of files it is the longest wait for the next piece."""


def upload_seconds(size: int) -> float:
    """For a file of so many bytes, at 200 kB a second or more."""
    return max(SECONDS, size / 200_000)


@dataclass(frozen=True)
class Look:
    """A batch at one moment. ``files``: of results, once it has ended; ``said``: why it failed."""

    ended: bool
    files: tuple[str, ...] = ()
    said: str = ""


@dataclass(frozen=True)
class Answered:
    """What the vendor answered to one job."""

    id: str
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})


class Service(ABC):
    """One vendor's batches."""

    def __init__(self, provider: str) -> None:
        self.provider = provider

    def name(self, job: str) -> str:
        """What the job is called in the files, where any id is not good enough."""
        return job

    @abstractmethod
    def line(self, name: str, taken: Taken) -> dict[str, Any]:
        """A job's request as a line of the file."""

    @abstractmethod
    def upload(self, path: Path) -> str:
        """The id of the file at the vendor. Costs nothing, and may be done again."""

    @abstractmethod
    def create(self, file: str, key: str) -> str:
        """
        The id of a new batch of this file: from here on it may cost money. ``key`` names the batch.

        Raises:
            ProviderError: ``billed`` says whether there may be one all the same.
        """

    @abstractmethod
    def find(self, file: str, key: str) -> str:
        """The id of the batch that was made of this file, "" where there is none."""

    @abstractmethod
    def look(self, batch: str) -> Look:
        """How far it is."""

    @abstractmethod
    def content(self, file: str) -> Iterator[bytes]:
        """A file of results."""

    @abstractmethod
    def answer(self, line: Mapping[str, Any]) -> Answered | None:
        """One line of the results, None where it belongs to no job. Its id is the ``name``."""

    @abstractmethod
    def close(self) -> None:
        """Give connections back."""


class HttpService(Service):
    """Batches over HTTP, with the credentials of a request that was taken."""

    def __init__(self, provider: str, taken: Taken) -> None:
        super().__init__(provider)
        self._secrets: dict[str, str | Secret] = dict(taken.secrets)
        self._transport = HttpTransport("")

    @abstractmethod
    def judge(self, status: int, code: str, message: str) -> Verdict | None:
        """What the vendor's error code means, None: what the status says."""

    def close(self) -> None:
        self._transport.close()

    def _json(
        self,
        method: str,
        url: str,
        content: bytes | None = None,
        *,
        kind: str = "application/json",
        headers: Mapping[str, str] | None = None,
        paid: bool = False,
        secret: bool = True,
    ) -> tuple[dict[str, Any], Mapping[str, str]]:
        """
        The JSON object and the headers of a response.

        Raises:
            ProviderError: there is none.
        """
        context = self._context(paid=paid)
        deadline = Deadline.after(upload_seconds(len(content or b"")))
        given = {**(self._secrets if secret else {}), **(headers or {})}
        response = self._transport.send(method, url, content, context, deadline, given, kind)
        try:
            raw = response.read(deadline)
        except WireError as error:
            raise failure_of(context, error, deadline) from error
        if not 200 <= response.status < 300:
            raise error_of(context, response.status, response.headers, raw)
        body = loaded(raw or b"{}")
        if body is BROKEN or not isinstance(body, dict):
            raise InvalidReplyError(
                f"{self.provider} sent what is not a JSON object: {context.redact(repr(raw[:200]))}",
                provider=self.provider,
                status_code=response.status,
            )
        return body, response.headers

    def _pieces(self, url: str) -> Iterator[bytes]:
        context = self._context()
        deadline = Deadline.after(SECONDS)
        response = self._transport.send("GET", url, None, context, deadline, self._secrets)
        try:
            if not 200 <= response.status < 300:
                raise error_of(context, response.status, response.headers, response.read(deadline))
            source = response.file()
            while True:
                with deadline_of(Deadline.after(SECONDS)):
                    piece = next(source, None)
                if piece is None:
                    return
                yield piece
        except WireError as error:
            raise failure_of(context, error, Deadline.after(SECONDS)) from error
        finally:
            response.close()

    def _context(self, *, paid: bool = False) -> RequestContext:
        secrets = tuple(value for value in self._secrets.values() if isinstance(value, Secret))
        return RequestContext(self.provider, paid=paid, judge=self.judge, secrets=secrets)


def may_exist(error: ProviderError) -> bool:
    """Whether a batch may have been made although its request failed."""
    if isinstance(error, ConnectionFailedError):
        return error.billed != "no"
    return error.billed == "unknown" or (error.status_code or 0) >= 500


def text_of(value: Any) -> bytes:
    """JSON of one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
