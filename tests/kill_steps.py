"""
Kill a process at every line of code between being asked for an image and having its URL.

Run as ``python -m tests.kill_steps VENDOR URL FOLDER``. Each step is a forked process that kills
itself (SIGKILL) at one line of the modules that hold, store and spool; then another process resumes
the spool. One line of JSON for each step is printed.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aigc_kit import ImageClient, errors
from aigc_kit.storage import LocalStorage

WATCHED = (
    "image/purchase.py",
    "image/lookup.py",
    "image/chain.py",
    "image/claims.py",
    "image/journal.py",
    "image/entries.py",
    "image/delivery.py",
    "image/receipts.py",
    "image/bfl/provider.py",
    "image/dashscope/provider.py",
    "image/tasks.py",
    "storage/local.py",
)


def client(vendor: str, url: str, folder: Path) -> ImageClient:
    """``vendor``: a name, or ``"fallback"``: Gemini, which refuses, and then Seedream."""
    storage = LocalStorage(folder / "store", base_url="https://assets.example.com")
    common: dict[str, Any] = {
        "storage": storage,
        "keep_urls": True,
        "spool_dir": folder / "spool",
        "timeout": 120,
    }
    own: dict[str, Any] = {"api_key": "k", "base_url": url}
    refusing = {"api_key": "k", "base_url": url + "/refuse", "vertexai": False}
    if vendor == "fallback":
        return ImageClient([("gemini", refusing), ("volcengine", own)], **common)
    if vendor == "gemini":
        own["vertexai"] = False
    if vendor == "dashscope":
        own["model"] = "wan2.7-image"  # a task
    return ImageClient(vendor, **own, **common)


def in_child(work: Callable[[], Any]) -> tuple[int, Any]:
    """(how the process ended, what it gave back)."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, json.dumps(work()).encode())
            os._exit(0)
        except BaseException:  # the child has no other way to report it
            traceback.print_exc()
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        raw = pipe.read()
    _, status = os.waitpid(pid, 0)
    return status, json.loads(raw) if raw else None


def killed_at(step: int, work: Callable[[], Any]) -> Any:
    """
    Do the work, and die at the ``step``-th new line of the watched modules; gives back how many
    there were.
    """
    seen: set[tuple[str, int]] = set()

    def line(frame: Any, event: str, _: Any) -> Any:
        place = (frame.f_code.co_filename, frame.f_lineno)
        if event == "line" and place not in seen:
            seen.add(place)
            if len(seen) == step:
                os.kill(os.getpid(), signal.SIGKILL)
        return line

    def call(frame: Any, event: str, _: Any) -> Any:
        return line if frame.f_code.co_filename.replace("\\", "/").endswith(WATCHED) else None

    sys.settrace(call)
    work()
    sys.settrace(None)
    return len(seen)


def buy(vendor: str, url: str, folder: Path, **options: Any) -> Any:
    with client(vendor, url, folder) as it:
        try:
            return it.text_to_image("a cat", idempotency_key="order-1", **options).url
        except errors.OutcomeUnknownError as error:
            return type(error).__name__


def resume(vendor: str, url: str, folder: Path) -> Any:
    with client(vendor, url, folder) as it:
        group = it.resume_spool()
        return [image.url for image in group.images], [
            type(error).__name__ for error in group.errors
        ]


def stored(folder: Path) -> list[str]:
    """Objects; a file that was being written when the process died has a hidden name."""
    return sorted(
        str(path.relative_to(folder))
        for path in (folder / "store").rglob("[!.]*")
        if path.is_file()
    )


def afterwards(vendor: str, url: str, folder: Path) -> dict[str, Any]:
    """What another process finds and does: it resumes the spool, and buys with the same key."""
    resumed = resume(vendor, url, folder)
    after = stored(folder)
    again = buy(vendor, url, folder)
    guarded = again == "OutcomeUnknownError"
    if guarded:
        again = buy(vendor, url, folder, retry_ambiguous=True)
    return {
        "resumed": resumed,
        "stored": after,
        "again": again,
        "guarded": guarded,
        "stored_at_the_end": stored(folder),
        "spool": sorted(os.listdir(folder / "spool")),
    }


def main(vendor: str, url: str, root: str) -> None:
    warm = Path(root) / "warm"
    buy(vendor, url, warm)
    gc.disable()  # a collection in a child would copy all memory of the parent
    gc.freeze()
    status, lines = in_child(lambda: killed_at(0, lambda: buy(vendor, url, Path(root) / "count")))
    assert status == 0
    for step in range(1, lines + 1):
        folder, own = Path(root) / str(step), f"{url}/{step}"
        status, _ = in_child(lambda: killed_at(step, lambda: buy(vendor, own, folder)))  # noqa: B023
        _, after = in_child(lambda: afterwards(vendor, own, folder))  # noqa: B023
        print(json.dumps({"step": step, "killed": os.WIFSIGNALED(status), **after}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
