"""
Batches as OpenAI has them: ``/files`` and ``/batches``. DashScope and GLM took the form over.

Source: openai 3.57 ``batch_create_params.py`` and ``batch.py``, zai-sdk, help.aliyun.com
model-studio batch, read 2026-11-26.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aigc_kit.batch.vendor.service import Answered, HttpService, Look, text_of
from aigc_kit.errors import InvalidInputError, InvalidReplyError
from aigc_kit.transport import codes
from aigc_kit.transport.failures import Verdict
from aigc_kit.transport.offline import Taken

_RUNNING = frozenset({"validating", "in_progress", "finalizing", "cancelling"})
_MOST_PAGES = 20


class OpenAIForm(HttpService):
    """
    ``prefix``: what the URLs of lines begin with; ``ends``: the endpoints that batches take.
    """

    def __init__(self, provider: str, taken: Taken, *, prefix: str, ends: tuple[str, ...]) -> None:
        super().__init__(provider, taken)
        self._ends = ends
        end = self._end(taken)
        self._root = taken.url.partition("?")[0].removesuffix(end)
        self._endpoint = prefix + end

    def _end(self, taken: Taken) -> str:
        path = urlsplit(taken.url).path
        found = next((end for end in self._ends if path.endswith(end)), "")
        if not found or not taken.headers.get("content-type", "").startswith("application/json"):
            raise InvalidInputError(
                f"{self.provider}'s batches take {', '.join(self._ends)} with JSON, and this job goes to {path!r}"
                f" ({taken.headers.get('content-type', 'no content')}): run it with mode='live'"
            )
        return found

    def judge(self, status: int, code: str, message: str) -> Verdict | None:
        return codes.openai(status, code, message)

    def line(self, name: str, taken: Taken) -> dict[str, Any]:
        self._end(taken)
        return {
            "custom_id": name,
            "method": "POST",
            "url": self._endpoint,
            "body": json.loads(taken.body),
        }

    def upload(self, path: Path) -> str:
        mark = f"----aigc-kit-{secrets.token_hex(16)}"
        parts = (
            f'--{mark}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
            f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n'
            "Content-Type: application/jsonl\r\n\r\n"
        )
        content = parts.encode() + path.read_bytes() + f"\r\n--{mark}--\r\n".encode()
        kind = f"multipart/form-data; boundary={mark}"
        body, _ = self._json("POST", f"{self._root}/files", content, kind=kind)
        return self._id(body, "file")

    def create(self, file: str, key: str) -> str:
        wanted = {
            "input_file_id": file,
            "endpoint": self._endpoint,
            "completion_window": "24h",
        }
        body, _ = self._json("POST", f"{self._root}/batches", text_of(wanted), paid=True)
        return self._id(body, "batch")

    def _id(self, body: Mapping[str, Any], what: str) -> str:
        name = body.get("id")
        if not isinstance(name, str) or not name:
            raise InvalidReplyError(
                f"{self.provider} made a {what} without an id", provider=self.provider, body=body
            )
        return name

    def find(self, file: str, key: str) -> str:
        after = ""
        for _ in range(_MOST_PAGES):
            body, _headers = self._json("GET", f"{self._root}/batches?limit=100{after}")
            batches = [each for each in body.get("data") or () if isinstance(each, dict)]
            for batch in batches:
                if batch.get("input_file_id") == file:
                    return str(batch.get("id") or "")
            if not body.get("has_more") or not batches:
                break
            after = f"&after={batches[-1].get('id')}"
        return ""

    def look(self, batch: str) -> Look:
        body, _ = self._json("GET", f"{self._root}/batches/{batch}")
        status = str(body.get("status"))
        if status in _RUNNING:
            return Look(ended=False)
        names = (body.get("output_file_id"), body.get("error_file_id"))
        held = body.get("errors")
        errors = held.get("data") if isinstance(held, dict) else None
        said = "; ".join(
            str(each.get("message")) for each in errors or () if isinstance(each, dict)
        )
        return Look(
            True,
            tuple(str(name) for name in names if name),
            "" if status == "completed" else said or f"the batch is {status}",
        )

    def content(self, file: str) -> Iterator[bytes]:
        return self._pieces(f"{self._root}/files/{file}/content")

    def answer(self, line: Mapping[str, Any]) -> Answered | None:
        name, response, error = line.get("custom_id"), line.get("response"), line.get("error")
        if not isinstance(name, str):
            return None
        if isinstance(response, dict) and isinstance(response.get("body"), (dict, list)):
            status = response.get("status_code")
            headers = {"content-type": "application/json"}
            if isinstance(response.get("request_id"), str):
                headers["x-request-id"] = response["request_id"]
            return Answered(
                name,
                status if isinstance(status, int) else 200,
                text_of(response["body"]),
                headers,
            )
        # A line that was not run: batch_expired, batch_cancelled.
        return Answered(name, 400, text_of({"error": error if isinstance(error, dict) else line}))
