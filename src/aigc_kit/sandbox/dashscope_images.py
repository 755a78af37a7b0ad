"""
Images as DashScope makes them: at once, or as a task that is asked for.

Source: https://www.alibabacloud.com/help/en/model-studio/ (qwen-image, wan, asynchronous tasks,
error codes) and dashscope 2.0.2, read 2026-11-25.
"""

from __future__ import annotations

import itertools
import re
from email import message_from_bytes
from typing import Any

from aigc_kit.sandbox.drawing import draw
from aigc_kit.sandbox.http import Answer, Request
from aigc_kit.sandbox.state import State

PREFIX = "/api/v1"
_SYNC = f"{PREFIX}/services/aigc/multimodal-generation/generation"
_TASK = f"{PREFIX}/services/aigc/image-generation/generation"
_OLD = f"{PREFIX}/services/aigc/text2image/image-synthesis"
_UPLOADS = f"{PREFIX}/uploads"
_BUCKET = "/dashscope-instant/"
_OF = {
    # path -> models that it serves
    _SYNC: r"qwen-image-[23]\.\d(-pro)?.*|z-image-turbo.*|wan2\.[67].*",
    _TASK: r"wan2\.[67].*",
    _OLD: r"wan2\.[25]-t2i.*|wanx2.*",
}
_MOST = {r"qwen-image.*": 6, r"wan.*": 4, r"z-image.*": 1}
_SIZE = re.compile(r"(\d+)\*(\d+)")
_TIERS = {"1K": 1024, "2K": 2048, "4K": 4096}
_PIXELS = (262_144, 16_777_216)
LOOKS = 2
"""How often a task is said to be running before it is done."""
_numbers = itertools.count(1)


def handle(request: Request, state: State) -> Answer | None:
    """The response of DashScope, or None for another path."""
    if request.path in (_BUCKET, _UPLOADS):
        return _of_uploads(request, state)
    is_task = request.path.startswith(f"{PREFIX}/tasks/")
    if request.path not in _OF and not is_task:
        return None
    if state.api_key and request.headers.get("authorization") != f"Bearer {state.api_key}":
        return _refused(401, "InvalidApiKey", "Invalid API-key provided.")
    if is_task:
        return _looked(request, state)
    return _begun(request, state)


def _begun(request: Request, state: State) -> Answer:
    """Images, or the task that makes them."""
    try:
        body = request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return _refused(400, "InvalidParameter", "The request body is not JSON.")
    problem = _problem(request, body)
    if problem is not None:
        return problem
    wants_task = request.headers.get("x-dashscope-async") == "enable"
    if request.path != _SYNC and not wants_task:
        return _refused(403, "AccessDenied", "current user api does not support synchronous calls.")
    prompt, images = _asked(body)
    if not _can_be_read(images, request, state):
        return _refused(400, "InvalidParameter", "The provided URL does not appear to be valid.")
    if "[blocked]" in prompt:
        return _refused(
            400, "DataInspectionFailed", "Input data may contain inappropriate content."
        )
    if not wants_task:
        return Answer(200, _whole(body, state, prompt, images))
    task_id = f"task-{next(_numbers)}"
    state.tasks[task_id] = {"body": body, "old": request.path == _OLD, "looks": 0}
    output = {"task_id": task_id, "task_status": "PENDING"}
    return Answer(200, {"request_id": f"req-{task_id}", "output": output})


def _can_be_read(images: list[str], request: Request, state: State) -> bool:
    """Whether references in the temporary storage are there, and the request says that it names some."""
    named = [name for name in images if name.startswith("oss://")]
    resolves = request.headers.get("x-dashscope-ossresourceresolve") == "enable"
    return not named or (resolves and all(name[6:] in state.files for name in named))


def _of_uploads(request: Request, state: State) -> Answer:
    if request.path == _BUCKET:
        return _stored(request, state)
    if state.api_key and request.headers.get("authorization") != f"Bearer {state.api_key}":
        return _refused(401, "InvalidApiKey", "Invalid API-key provided.")
    return _place(request, state)


def _place(request: Request, state: State) -> Answer:
    """Where a reference may be put."""
    if request.query.get("action") != "getPolicy" or not request.query.get("model"):
        return _refused(400, "InvalidParameter", "action and model are required")
    data = {
        "policy": "policy",
        "signature": "signature",
        "upload_dir": f"dashscope-instant/{next(_numbers)}",
        "upload_host": state.url + _BUCKET,
        "expire_in_seconds": 300,
        "max_file_size_mb": 100,
        "oss_access_key_id": "sandbox",
        "x_oss_object_acl": "private",
        "x_oss_forbid_overwrite": "true",
    }
    return Answer(200, {"request_id": "req-upload", "data": data})


def _stored(request: Request, state: State) -> Answer:
    """A form as OSS takes it."""
    kind = request.headers.get("content-type", "")
    message = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + request.raw)
    parts = {
        str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True)
        for part in (message.get_payload() if message.is_multipart() else ())
        if not isinstance(part, str)
    }
    key, data = parts.get("key"), parts.get("file")
    if parts.get("Signature") != b"signature" or not isinstance(key, bytes):
        return Answer(403, "<Error><Code>SignatureDoesNotMatch</Code></Error>")
    state.keep(key.decode(), data if isinstance(data, bytes) else b"", "image/png")
    return Answer(200, b"")


def _problem(request: Request, body: dict[str, Any]) -> Answer | None:
    name = str(body.get("model") or "")
    if not re.fullmatch(_OF[request.path], name):
        return _refused(
            404, "ModelNotFound", f"Model {name} does not exist or cannot be used here."
        )
    parameters = body.get("parameters") or {}
    n = parameters.get("n", 4 if name.startswith("wan2.2") else 1)
    most = next((most for pattern, most in _MOST.items() if re.fullmatch(pattern, name)), 1)
    most = 12 if parameters.get("enable_sequential") else most
    if type(n) is not int or not 1 <= n <= most:
        return _refused(400, "InvalidParameter", f"n must be in [1, {most}]")
    size = parameters.get("size")
    if size is not None and size not in _TIERS:
        sides = _SIZE.fullmatch(str(size))
        if sides is None:
            return _refused(400, "InvalidParameter", "size must be like 1024*1024")
        if not _PIXELS[0] <= int(sides[1]) * int(sides[2]) <= _PIXELS[1]:
            return _refused(400, "InvalidParameter", f"size {size} has too few or too many pixels")
    if request.path != _OLD and not (body.get("input") or {}).get("messages"):
        return _refused(400, "InvalidParameter", "input.messages is required")
    return None


def _asked(body: dict[str, Any]) -> tuple[str, list[str]]:
    given = body.get("input") or {}
    if "messages" not in given:
        return str(given.get("prompt") or ""), []
    parts = given["messages"][0].get("content") or []
    text = " ".join(str(part["text"]) for part in parts if "text" in part)
    return text, [str(part["image"]) for part in parts if "image" in part]


def _pictures(
    body: dict[str, Any], state: State, prompt: str, images: list[str]
) -> tuple[list[str], int, int]:
    parameters = body.get("parameters") or {}
    size = str(parameters.get("size") or "1328*1328")
    sides = _SIZE.fullmatch(size)
    wide, high = (int(sides[1]), int(sides[2])) if sides else (_TIERS[size],) * 2
    links: list[str] = []
    for number in range(int(parameters.get("n") or 1)):
        note = f"{body['model']} {wide} x {high}" + (
            f", {len(images)} references" if images else ""
        )
        data = draw(prompt, wide, high, note=note, salt=str(number))
        name = f"dashscope/{next(_numbers)}.png"
        state.keep(name, data, "image/png")
        links.append(f"{state.url}/{name}")
    return links, wide, high


def _whole(body: dict[str, Any], state: State, prompt: str, images: list[str]) -> dict[str, Any]:
    links, wide, high = _pictures(body, state, prompt, images)
    choices = [
        {
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": [{"image": link}]},
        }
        for link in links
    ]
    usage = {"image_count": len(links), "width": wide, "height": high}
    return {"request_id": "req-1", "output": {"choices": choices}, "usage": usage}


def _looked(request: Request, state: State) -> Answer:
    task_id = request.path.rpartition("/")[2]
    task = state.tasks.get(task_id)
    answer: dict[str, Any] = {"request_id": f"req-{task_id}"}
    if task is None:
        return Answer(200, {**answer, "output": {"task_id": task_id, "task_status": "UNKNOWN"}})
    task["looks"] += 1
    if task["looks"] <= LOOKS:
        return Answer(200, {**answer, "output": {"task_id": task_id, "task_status": "RUNNING"}})
    prompt, images = _asked(task["body"])
    if "[blocked image]" in prompt:
        failed = {"code": "DataInspectionFailed", "message": "Output data may be inappropriate."}
        return Answer(200, {**answer, "output": {**_task(task_id, "FAILED"), **failed}})
    if "done" not in task:
        whole = _whole(task["body"], state, prompt, images)
        output = {**_task(task_id, "SUCCEEDED"), **whole["output"]}
        if task["old"]:
            links = [c["message"]["content"][0]["image"] for c in whole["output"]["choices"]]
            results = [{"url": link, "orig_prompt": prompt} for link in links]
            output = {**_task(task_id, "SUCCEEDED"), "results": results}
        task["done"] = {**answer, "output": output, "usage": whole["usage"]}
    return Answer(200, task["done"])


def _task(task_id: str, status: str) -> dict[str, Any]:
    return {"task_id": task_id, "task_status": status}


def _refused(status: int, code: str, message: str) -> Answer:
    return Answer(status, {"code": code, "message": message, "request_id": "req-1"})
