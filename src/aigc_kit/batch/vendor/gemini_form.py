"""
Batches of Gemini's Developer API: a file of keyed requests, and a file of keyed responses.

Results of large jobs inside the operation itself were billed and could not be fetched
(discuss.ai.google.dev/t/174261), so that requests always go as a file. Source:
https://ai.google.dev/gemini-api/docs/batch-api, google-genai 3.6 ``batches.py`` and ``files.py``,
read 2026-11-26.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aigc_kit.batch.vendor.service import Answered, HttpService, Look, text_of
from aigc_kit.errors import InvalidInputError, InvalidReplyError
from aigc_kit.transport import codes
from aigc_kit.transport.failures import Verdict
from aigc_kit.transport.offline import Taken

_METHOD = re.compile(
    r"(?P<root>https?://[^/]+)/(?P<version>v\d\w*)/models/(?P<model>[^/:]+):(?P<method>\w+)"
)
_RUNNING = frozenset({"UNSPECIFIED", "PENDING", "QUEUED", "RUNNING", "CANCELLING", "PAUSED"})
_MOST_PAGES = 20
_RPC = {1: 499, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400}
_RPC |= {10: 409, 11: 400, 12: 501, 14: 503, 16: 401}
"""
Codes of ``google.rpc.Status`` and their HTTP status; the others are 500. Source:
https://cloud.google.com/apis/design/errors#error_codes, read 2026-11-27.
"""


class GeminiForm(HttpService):
    """Text and images by ``generateContent``."""

    def __init__(self, provider: str, taken: Taken) -> None:
        super().__init__(provider, taken)
        told = self._told(taken)
        self._root, self._version, self._model = told["root"], told["version"], told["model"]

    def _told(self, taken: Taken) -> re.Match[str]:
        told = _METHOD.fullmatch(taken.url.partition("?")[0])
        if told is None or told["method"] != "generateContent":
            raise InvalidInputError(
                f"{self.provider}'s batches take generateContent of the Developer API (api_key=), and this job goes to"
                f" {urlsplit(taken.url).path!r}: run it with mode='live'"
            )
        return told

    @property
    def _base(self) -> str:
        return f"{self._root}/{self._version}"

    def judge(self, status: int, code: str, message: str) -> Verdict | None:
        return codes.google(status, code, message)

    def line(self, name: str, taken: Taken) -> dict[str, Any]:
        self._told(taken)
        return {"key": name, "request": json.loads(taken.body)}

    def upload(self, path: Path) -> str:
        data = path.read_bytes()
        begin = {
            "x-goog-upload-protocol": "resumable",
            "x-goog-upload-command": "start",
            "x-goog-upload-header-content-length": str(len(data)),
            "x-goog-upload-header-content-type": "application/jsonl",
        }
        content = text_of({"file": {"display_name": path.name}})
        url = f"{self._root}/upload/{self._version}/files"
        _, headers = self._json("POST", url, content, headers=begin)
        place = headers.get("x-goog-upload-url", "")
        if not place.startswith(self._root + "/"):
            raise InvalidReplyError(
                f"{self.provider} wants the file at another host: {place[:200]!r}",
                provider=self.provider,
            )
        send = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0"}
        body, _ = self._json(
            "POST", place, data, kind="application/jsonl", headers=send, secret=False
        )
        return self._name((body.get("file") or {}).get("name"), "file", body)

    def create(self, file: str, key: str) -> str:
        wanted = {"batch": {"displayName": key, "inputConfig": {"fileName": file}}}
        url = f"{self._base}/models/{self._model}:batchGenerateContent"
        body, _ = self._json("POST", url, text_of(wanted), paid=True)
        return self._name(body.get("name"), "batch", body)

    def _name(self, name: Any, what: str, body: Any) -> str:
        if not isinstance(name, str) or not re.fullmatch(r"[a-z]+/[\w-]+", name):
            raise InvalidReplyError(
                f"{self.provider} made a {what} without a name", provider=self.provider, body=body
            )
        return name

    def find(self, file: str, key: str) -> str:
        page = ""
        for _ in range(_MOST_PAGES):
            body, _headers = self._json("GET", f"{self._base}/batches?pageSize=100{page}")
            for batch in body.get("operations") or body.get("batches") or ():
                held = batch.get("metadata") if isinstance(batch, dict) else None
                if isinstance(held, dict) and held.get("displayName") == key:
                    return str(batch.get("name") or "")
            if not body.get("nextPageToken"):
                break
            page = f"&pageToken={body['nextPageToken']}"
        return ""

    def look(self, batch: str) -> Look:
        body, _ = self._json("GET", f"{self._base}/{batch}")
        held = body.get("metadata")
        facts = held if isinstance(held, dict) else {}
        state = re.sub(r"^(BATCH|JOB)_STATE_", "", str(facts.get("state") or "UNSPECIFIED"))
        if state in _RUNNING and not body.get("done"):
            return Look(ended=False)
        response, output = body.get("response"), facts.get("output")
        names = [
            holder.get("responsesFile") for holder in (response, output) if isinstance(holder, dict)
        ]
        files = tuple(dict.fromkeys(str(name) for name in names if name))
        error = body.get("error")
        said = str(error.get("message")) if isinstance(error, dict) else ""
        if not files:
            said = said or f"the batch is {state.lower()} and has no file of results"
        return Look(True, files, said)

    def content(self, file: str) -> Iterator[bytes]:
        return self._pieces(f"{self._root}/download/{self._version}/{file}:download?alt=media")

    def answer(self, line: Mapping[str, Any]) -> Answered | None:
        name = line.get("key")
        if not isinstance(name, str):
            return None
        if isinstance(line.get("response"), dict):
            return Answered(name, 200, text_of(line["response"]))
        held = line.get("error") or line.get("status")
        error = held if isinstance(held, dict) else {"message": str(held)}
        code = error.get("code")
        status = _RPC.get(code, code) if isinstance(code, int) else 500
        if not 400 <= status < 600:
            status = 500
        return Answered(name, status, text_of({"error": error}))
