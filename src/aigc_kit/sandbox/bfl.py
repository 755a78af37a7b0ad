"""
FLUX as Black Forest Labs serves it: a task, its price, and a link of ten minutes.

Source: https://docs.bfl.ai, celeste ``bfl/client.py``, read 2026-11-25.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

from aigc_kit.sandbox.drawing import draw
from aigc_kit.sandbox.http import Answer, Request
from aigc_kit.sandbox.state import State

PREFIX = "/bfl/v1"
_MODEL = re.compile(rf"{PREFIX}/(?P<model>flux-[\w.-]+)")
_RESULT = f"{PREFIX}/get_result"
LOOKS = 1
"""How often a task is said to be pending before it is done."""
_numbers = itertools.count(1)
_REFERENCES = {r"flux-3-image.*": 10, r"flux-2-.*": 8, r"flux-kontext-.*": 4}


def handle(request: Request, state: State) -> Answer | None:
    """The response of Black Forest Labs, or None for another path."""
    told = _MODEL.fullmatch(request.path)
    if told is None and request.path != _RESULT:
        return None
    if state.api_key and request.headers.get("x-key") != state.api_key:
        return Answer(403, {"detail": "Not authenticated - Invalid Authentication"})
    if told is None:
        return _looked(request, state)
    try:
        body = request.json()
    except ValueError:
        body = None
    problem = _problem(body, told["model"])
    if problem:
        return Answer(422, {"detail": [{"loc": ["body"], "msg": problem, "type": "value_error"}]})
    task_id = f"bfl-{next(_numbers)}"
    state.tasks[task_id] = {"body": body, "model": told["model"], "looks": 0}
    size = body.get("width", 1024) * body.get("height", 1024) / 1_000_000
    return Answer(
        200,
        {
            "id": task_id,
            "polling_url": f"{state.url}{_RESULT}?id={task_id}",
            "cost": 4.0,
            "input_mp": 0.0,
            "output_mp": round(size, 2),
        },
    )


def _problem(body: Any, model: str) -> str:
    if not isinstance(body, dict) or not isinstance(body.get("prompt"), str):
        return "prompt is required"
    ratio = model.startswith(("flux-kontext", "flux-pro-1.1-ultra"))
    if ratio and ("width" in body or "height" in body):
        return "width and height are not permitted"
    step = 32 if model.startswith("flux-pro-1.1") else 16
    for side in ("width", "height"):
        value = body.get(side, step)
        if type(value) is not int or value % step:
            return f"{side} must be a multiple of {step}"
    images = len(body.get("images") or ()) + sum(name.startswith("input_image") for name in body)
    most = next((most for names, most in _REFERENCES.items() if re.fullmatch(names, model)), 1)
    return f"at most {most} images are permitted" if images > most else ""


def _looked(request: Request, state: State) -> Answer:
    task_id = request.query.get("id", "")
    task = state.tasks.get(task_id)
    if task is None:
        return Answer(200, {"id": task_id, "status": "Task not found", "result": None})
    task["looks"] += 1
    body = task["body"]
    if task["looks"] <= LOOKS:
        return Answer(200, {"id": task_id, "status": "Pending", "result": None})
    if "[blocked]" in body["prompt"]:
        return Answer(200, {"id": task_id, "status": "Request Moderated", "result": None})
    if "[blocked image]" in body["prompt"]:
        return Answer(200, {"id": task_id, "status": "Content Moderated", "result": None})
    if "done" not in task:
        wide, high = body.get("width", 1024), body.get("height", 1024)
        name = f"bfl/{task_id}.jpg"
        state.keep(
            name, draw(body["prompt"], wide, high, form="JPEG", note=task["model"]), "image/jpeg"
        )
        task["done"] = {"sample": f"{state.url}/{name}", "prompt": body["prompt"]}
    return Answer(200, {"id": task_id, "status": "Ready", "result": task["done"]})
