"""
The vendors' own batches: files of requests that are run when there is room, at half the price.

In OpenAI's form (``/files``, ``/batches``: OpenAI, DashScope, GLM) and Gemini's (a file of keyed
requests, ``:batchGenerateContent``). Each line is run by the rules of its vendor, in another order
than it came, as theirs do. Ark has calls that wait, on a batch
endpoint, and Bedrock jobs over a bucket.

Source: openai 3.57 ``batch_create_params.py``, google-genai 3.6 ``batches.py`` and ``files.py``,
https://ai.google.dev/gemini-api/docs/batch-api, zai-sdk, volcengine-ark-runtime 5.0.54, read
2026-11-26.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from email import message_from_bytes
from typing import Any

from aigc_kit.sandbox import bedrock_jobs
from aigc_kit.sandbox.http import Answer, Request
from aigc_kit.sandbox.state import State

Run = Callable[[Request], Answer]
"""Runs one request by the rules."""

# The prefix of an API -> what its lines' URLs begin with, and the endpoints it takes.
_SERVICES: dict[str, tuple[str, tuple[str, ...]]] = {
    "/openai/v1": (
        "/v1",
        ("/chat/completions", "/embeddings", "/responses", "/images/generations"),
    ),
    "/compatible-mode/v1": ("/v1", ("/chat/completions", "/embeddings")),
    "/api/paas/v4": ("/v4", ("/chat/completions", "/embeddings")),
}
_FILES = re.compile(r"(?P<prefix>/.+)/files(/(?P<id>[\w-]+)(?P<content>/content)?)?")
_BATCHES = re.compile(r"(?P<prefix>/.+)/batches(/(?P<id>[\w-]+))?")
_UPLOAD = re.compile(r"/upload/v1(beta)?/files(/(?P<id>\w+))?")
_GENERATE = re.compile(r"/v1(beta)?/models/(?P<model>[\w.-]+):batchGenerateContent")
_GEMINI = re.compile(r"/v1(beta)?/batches(/(?P<id>\w+))?")
_DOWNLOAD = re.compile(r"/download/v1(beta)?/files/(?P<id>[\w-]+):download")
_BLOCKING = re.compile(r"/api/v3/batch(?P<end>/(chat/completions|embeddings(/multimodal)?))")
_MOST = 50_000


def handle(request: Request, state: State, run: Run) -> Answer | None:
    """The response of a vendor's batches, or None for another path."""
    found = bedrock_jobs.handle(request, state, run)
    if found is not None:
        return found
    for pattern, answer in (
        (_UPLOAD, _upload),
        (_GENERATE, _generate),
        (_GEMINI, _of_gemini),
        (_DOWNLOAD, _download),
    ):
        told = pattern.fullmatch(request.path)
        if told:
            if state.api_key and not _has_key(request, state):
                return _google_error(400, "INVALID_ARGUMENT", "API key not valid.")
            return answer(request, state, told, run)
    waiting = _BLOCKING.fullmatch(request.path)
    if waiting:
        return _wait(request, f"/api/v3{waiting['end']}", run)
    for pattern, answer in ((_FILES, _file), (_BATCHES, _batch)):
        told = pattern.fullmatch(request.path)
        if told and told["prefix"] in _SERVICES:
            if state.api_key and request.headers.get("authorization") != f"Bearer {state.api_key}":
                return _error(401, "Incorrect API key provided.", "invalid_api_key")
            return answer(request, state, told, run)
    return None


def _has_key(request: Request, state: State) -> bool:
    resumed = request.headers.get("x-goog-upload-command", "").startswith("upload")
    return resumed or request.headers.get("x-goog-api-key") == state.api_key


# ---- Ark's form


def _wait(request: Request, path: str, run: Run) -> Answer:
    """The live response; only batch endpoints are served."""
    model = re.search(rb'"model":\s*"(?P<name>[^"]*)"', request.raw)
    name = model["name"].decode() if model else ""
    if not name.startswith("ep-bi-"):
        message = f"The model or endpoint {name} does not exist or you do not have access to it."
        code = "InvalidEndpointOrModel.NotFound"
        return Answer(404, {"error": {"code": code, "message": message, "type": "NotFound"}})
    return run(replace(request, path=path))


# ---- OpenAI's form


def _file(request: Request, state: State, told: re.Match[str], run: Run) -> Answer:
    if request.method == "GET" and told["content"]:
        found = state.files.get(f"batch/{told['id']}")
        if found is None:
            return _error(404, f"No such File object: {told['id']}", "not_found")
        return Answer(200, found[0], {"content-type": "application/octet-stream"})
    if request.method != "POST":
        return _error(405, "Method not allowed", "method_not_allowed")
    kind = request.headers.get("content-type", "")
    message = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + request.raw)
    parts = {
        str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True)
        for part in (message.get_payload() if message.is_multipart() else ())
        if not isinstance(part, str)
    }
    data = parts.get("file")
    if parts.get("purpose") != b"batch" or not isinstance(data, bytes):
        return _error(400, "purpose must be 'batch' and file is required", "invalid_request_error")
    name = f"file-{len(state.files) + 1}"
    state.keep(f"batch/{name}", data, "application/jsonl", always=True)
    return Answer(200, {"id": name, "object": "file", "purpose": "batch", "bytes": len(data)})


def _batch(request: Request, state: State, told: re.Match[str], run: Run) -> Answer:
    prefix, name = told["prefix"], told["id"]
    batches = {key: task for key, task in state.tasks.items() if task.get("prefix") == prefix}
    if request.method == "GET" and not name:
        data = [_shown(task) for task in reversed(batches.values())]
        return Answer(200, {"object": "list", "data": data, "has_more": False})
    if request.method == "GET":
        task = batches.get(str(name))
        if task is None:
            return _error(404, f"No batch found with id '{name}'.", "not_found")
        _progress(task, state, run)
        return Answer(200, _shown(task))
    if request.method != "POST" or name:
        return _error(405, "Method not allowed", "method_not_allowed")
    body = request.json()
    line_prefix, endpoints = _SERVICES[prefix]
    endpoint = str(body.get("endpoint", ""))
    if endpoint not in [line_prefix + each for each in endpoints]:
        return _error(400, f"Invalid endpoint: {endpoint!r}", "invalid_request_error")
    if f"batch/{body.get('input_file_id')}" not in state.files:
        return _error(400, f"No such file: {body.get('input_file_id')}", "invalid_request_error")
    task = {
        "prefix": prefix,
        "id": f"batch_{len(state.tasks) + 1}",
        "object": "batch",
        "endpoint": endpoint,
        "input_file_id": body["input_file_id"],
        "completion_window": body.get("completion_window"),
        "metadata": body.get("metadata"),
        "status": "validating",
        "created_at": int(time.time()),
        "looks": state.batch_looks,
    }
    state.tasks[task["id"]] = task
    return Answer(200, _shown(task))


def _shown(task: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in task.items() if name not in ("prefix", "looks")}


def _progress(task: dict[str, Any], state: State, run: Run) -> None:
    """Run the batch when it was looked at often enough."""
    if task["status"] in ("completed", "failed", "expired", "cancelled"):
        return
    if task["looks"] > 0:
        task["looks"] -= 1
        task["status"] = "in_progress"
        return
    raw = state.files[f"batch/{task['input_file_id']}"][0]
    lines = [json.loads(line) for line in raw.splitlines() if line.strip()]
    problem = _problem(lines, task["endpoint"])
    if problem:
        task["status"] = "failed"
        task["errors"] = {
            "object": "list",
            "data": [{"code": "invalid_request", "message": problem}],
        }
        return
    done: list[Any] = []
    failed: list[Any] = []
    for line in reversed(lines):
        path = task["prefix"] + line["url"].removeprefix(_SERVICES[task["prefix"]][0])
        answer = run(_inner(path, line["body"], state, bearer=True))
        entry = {
            "id": f"batch_req_{line['custom_id']}",
            "custom_id": line["custom_id"],
            "response": {
                "status_code": answer.status,
                "request_id": "req-1",
                "body": _json(answer),
            },
            "error": None,
        }
        (done if answer.status == 200 else failed).append(entry)
    task["status"] = "completed"
    task["request_counts"] = {
        "total": len(lines),
        "completed": len(done),
        "failed": len(failed),
    }
    for name, entries in (("output_file_id", done), ("error_file_id", failed)):
        if entries:
            task[name] = f"{task['id']}-{name.partition('_')[0]}"
            _keep(state, task[name], entries)


def _problem(lines: list[Any], endpoint: str) -> str:
    names = [line.get("custom_id") for line in lines]
    if len(set(names)) != len(names):
        return "custom_id must be unique"
    if len(lines) > _MOST:
        return f"a batch has at most {_MOST} requests"
    wrong = next((line for line in lines if line.get("url") != endpoint), None)
    return f"url must be {endpoint!r}, got {wrong.get('url')!r}" if wrong else ""


def _inner(path: str, body: Any, state: State, *, bearer: bool) -> Request:
    key = (
        ("authorization", f"Bearer {state.api_key}")
        if bearer
        else ("x-goog-api-key", state.api_key)
    )
    headers = dict([key, ("content-type", "application/json")])
    return Request("POST", path, {}, headers, json.dumps(body).encode())


def _json(answer: Answer) -> Any:
    """The body of an answer as JSON, whatever it was made as."""
    body = answer.body
    if isinstance(body, (dict, list)):
        return body
    return json.loads(body if isinstance(body, (bytes, str)) else b"".join(body))


def _keep(state: State, name: str, entries: list[Any]) -> None:
    data = b"".join(json.dumps(entry, ensure_ascii=False).encode() + b"\n" for entry in entries)
    state.keep(f"batch/{name}", data, "application/jsonl", always=True)


def _error(status: int, message: str, code: str) -> Answer:
    return Answer(
        status, {"error": {"message": message, "type": "invalid_request_error", "code": code}}
    )


# ---- Gemini's


def _upload(request: Request, state: State, told: re.Match[str], run: Run) -> Answer:
    command = request.headers.get("x-goog-upload-command", "")
    if not told["id"]:
        if request.headers.get("x-goog-upload-protocol") != "resumable" or command != "start":
            return _google_error(400, "INVALID_ARGUMENT", "Upload protocol not supported.")
        name = f"f{len(state.files) + 1}"
        state.keep(f"batch/{name}", b"", "application/jsonl", always=True)
        place = f"{state.url}{request.path}/{name}"
        return Answer(200, {}, {"x-goog-upload-url": place, "x-goog-upload-status": "active"})
    if command != "upload, finalize" or f"batch/{told['id']}" not in state.files:
        return _google_error(400, "INVALID_ARGUMENT", "Unknown upload.")
    return _uploaded(request, state, told)


def _uploaded(request: Request, state: State, told: re.Match[str]) -> Answer:
    state.keep(f"batch/{told['id']}", request.raw, "application/jsonl", always=True)
    file = {"name": f"files/{told['id']}", "sizeBytes": str(len(request.raw)), "state": "ACTIVE"}
    return Answer(200, {"file": file}, {"x-goog-upload-status": "final"})


def _generate(request: Request, state: State, told: re.Match[str], run: Run) -> Answer:
    batch = request.json().get("batch") or {}
    file = str((batch.get("inputConfig") or {}).get("fileName", "")).removeprefix("files/")
    if f"batch/{file}" not in state.files:
        return _google_error(404, "NOT_FOUND", f"File files/{file} not found.")
    name = f"b{len(state.tasks) + 1}"
    state.tasks[name] = {
        "model": told["model"],
        "file": file,
        "displayName": batch.get("displayName", ""),
        "state": "BATCH_STATE_PENDING",
        "looks": state.batch_looks,
    }
    return Answer(200, _operation(name, state.tasks[name]))


def _of_gemini(request: Request, state: State, told: re.Match[str], run: Run) -> Answer:
    batches = {name: task for name, task in state.tasks.items() if "displayName" in task}
    if not told["id"]:
        return Answer(200, {"operations": [_operation(*each) for each in batches.items()]})
    task = batches.get(told["id"])
    if task is None:
        return _google_error(404, "NOT_FOUND", f"batches/{told['id']} not found.")
    if task["state"] in ("BATCH_STATE_PENDING", "BATCH_STATE_RUNNING"):
        _generated(told["id"], task, state, run)
    return Answer(200, _operation(told["id"], task))


def _generated(name: str, task: dict[str, Any], state: State, run: Run) -> None:
    if task["looks"] > 0:
        task["looks"] -= 1
        task["state"] = "BATCH_STATE_RUNNING"
        return
    entries = []
    for line in reversed(state.files[f"batch/{task['file']}"][0].splitlines()):
        asked = json.loads(line)
        path = f"/v1beta/models/{task['model']}:generateContent"
        answer = run(_inner(path, asked["request"], state, bearer=False))
        word = "response" if answer.status == 200 else "error"
        body = _json(answer)
        entries.append({"key": asked["key"], word: body if word == "response" else body["error"]})
    task["state"] = "BATCH_STATE_SUCCEEDED"
    task["results"] = f"files/batch-{name}"
    _keep(state, f"batch-{name}", entries)


def _operation(name: str, task: dict[str, Any]) -> dict[str, Any]:
    done = "results" in task
    metadata = {"displayName": task["displayName"], "state": task["state"], "model": task["model"]}
    found: dict[str, Any] = {"name": f"batches/{name}", "metadata": metadata, "done": done}
    return {**found, "response": {"responsesFile": task["results"]}} if done else found


def _download(request: Request, state: State, told: re.Match[str], run: Run) -> Answer:
    found = state.files.get(f"batch/{told['id']}")
    if found is None or request.query.get("alt") != "media":
        return _google_error(404, "NOT_FOUND", "File not found.")
    return Answer(200, found[0], {"content-type": "application/jsonl"})


def _google_error(status: int, word: str, message: str) -> Answer:
    return Answer(status, {"error": {"code": status, "message": message, "status": word}})
