"""
One client of each provider, shared by 64 threads, over some thousands of calls with random faults.

``python -m tests.soak [CALLS]`` prints one line of JSON. The vendors run in a process of their own,
so that every socket, thread and byte counted here is the client's.
"""

from __future__ import annotations

import base64
import gc
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from aigc_kit import ChatClient, ImageClient, errors
from aigc_kit.sandbox import Sandbox
from aigc_kit.sandbox.faults import Fault
from aigc_kit.sandbox.server import Answer, Request
from aigc_kit.storage import R2Storage
from tests.fault_table import At
from tests.images import make

THREADS = 64
FAULTS = (
    "reset",
    "close",
    "cut body",
    "reset body",
    "too long",
    "gzip",
    "no length",
    "hang",
    "drip",
)
STATUSES = (400, 429, 500, 503)
PICTURE = make()


class Vendors(Sandbox):
    """Responds as the words in a request say, and draws their mark into the image."""

    def handle(self, request: Request) -> Answer:
        self.requests.clear()
        if request.path.startswith("/s3/"):
            return super().handle(request)
        text = request.raw.decode("utf-8", "replace")
        mark = re.search(r"mark-\d+-", text or request.path)
        answer = (
            self._image(request, mark[0])
            if mark and "image" in request.path
            else super().handle(request)
        )
        wish = re.search(r"\[fault ([a-z ]+|\d+)\]", text)
        if wish and wish[1].isdigit():
            return Answer(int(wish[1]), {"error": {"message": "as you wish"}}, {"retry-after": "0"})
        return replace(answer, fault=Fault(wish[1], at=20)) if wish else answer

    def _image(self, request: Request, mark: str) -> Answer:
        data = PICTURE + mark.encode()
        if request.method == "GET":
            return Answer(200, data, {"content-type": "image/png"})
        if "generations" in request.path:
            return Answer(200, {"data": [{"url": f"{self.url}/image/{mark}.png"}]})
        inline = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(data).decode()}}
        return Answer(
            200, {"candidates": [{"content": {"parts": [inline]}, "finishReason": "STOP"}]}
        )


def serve() -> None:
    with Vendors() as server:
        print(server.url, flush=True)
        sys.stdin.read()


def held() -> dict[str, int]:
    """
    What this process holds: file descriptors, threads, resident memory in KiB; 0 where the system
    does not say.
    """
    status, fds = Path("/proc/self/status"), Path("/dev/fd")
    rss = re.search(r"VmRSS:\s+(\d+)", status.read_text()) if status.exists() else None
    return {
        "fds": len(os.listdir(fds)) if fds.exists() else 0,
        "threads": threading.active_count(),
        "rss": int(rss[1]) if rss else 0,
    }


class Soak:
    def __init__(self, url: str, folder: Path) -> None:
        at: Any = At(url)
        self.chats = {
            name: ChatClient(name, timeout=600, max_retries=0, **Sandbox.chat_options(at, name))
            for name in ("openai", "deepseek", "gemini", "bedrock")
        }
        self.storage = R2Storage(**Sandbox.storage_options(at))
        self.image_clients = {
            name: ImageClient(
                name,
                storage=self.storage,
                keep_urls=True,
                spool_dir=folder / "spool",
                timeout=600,
                max_retries=0,
                **Sandbox.image_options(at, name),
            )
            for name in ("volcengine", "gemini")
        }
        self.outcomes: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._lock = threading.Lock()

    def call(self, number: int) -> None:
        dice = random.Random(number)
        mark = f"mark-{number}-"
        fault = ""
        if dice.random() < 0.3:
            fault = f" [fault {dice.choice((*FAULTS, *STATUSES))}]"
        options: dict[str, Any] = {"timeout": 0.5} if "hang" in fault or "drip" in fault else {}
        outcome = "ok"
        try:
            wrong = self._asked(dice, mark, fault, options)
        except errors.AIGCError as error:
            outcome, wrong = type(error).__name__, ""
            if not fault:
                wrong = f"{mark} failed although nothing was wrong: {error!r}"
        except Exception as error:  # the rule that is measured here
            outcome, wrong = "foreign", f"{mark}{fault}: {error!r}"
        with self._lock:
            self.outcomes[outcome] += 1
            if wrong:
                self.wrong.append(wrong)

    def _asked(self, dice: random.Random, mark: str, fault: str, options: dict[str, Any]) -> str:
        if dice.random() < 0.25:
            name = dice.choice(list(self.image_clients))
            result = self.image_clients[name].text_to_image(f"{mark}{fault}", **options)
            return "" if result.data.endswith(mark.encode()) else f"{mark} got another's image"
        client = self.chats[dice.choice(list(self.chats))]
        messages = [{"role": "user", "content": f"{mark}{fault}"}]
        if dice.random() < 0.5:
            return self._same(client.chat(messages, **options).content, mark)
        if dice.random() < 0.2:
            with client.chat_stream(messages, **options) as stream:
                return self._same("You said: " + mark, mark) if next(stream) else ""
        stream = client.chat_stream(messages, **options)
        return self._same("".join(chunk.delta_content for chunk in stream), mark)

    @staticmethod
    def _same(said: str, mark: str) -> str:
        return "" if said.startswith("You said: " + mark) else f"{mark} got {said[:60]!r}"

    def close(self) -> None:
        for client in (*self.chats.values(), *self.image_clients.values()):
            client.close()
        self.storage.close()


def main(calls: int) -> dict[str, Any]:
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.soak", "serve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        first = Soak(url, Path(folder))  # imports and caches of the SDKs are not a leak
        for number in range(40):
            first.call(number)
        first.close()
        gc.collect()
        before = held()
        soak = Soak(url, Path(folder))
        marks: list[dict[str, int]] = []
        with ThreadPoolExecutor(THREADS) as pool:
            for part in range(4):
                list(
                    pool.map(
                        soak.call, range(1000 + part * calls // 4, 1000 + (part + 1) * calls // 4)
                    )
                )
                gc.collect()
                marks.append(held())
        told = soak.image_clients[
            "gemini"
        ].resume_spool()  # payments whose outcome is unknown, each reported once
        soak.close()
        gc.collect()
        end = time.monotonic() + 120
        while held()["threads"] > before["threads"] and time.monotonic() < end:
            time.sleep(0.05)
        after = held()
        found = [type(error).__name__ for error in told.errors]
        left = sorted(os.listdir(Path(folder) / "spool"))
    server.communicate("")
    return {
        "calls": sum(soak.outcomes.values()),
        "threads": THREADS,
        "seconds": round(time.monotonic() - started, 1),
        "outcomes": dict(soak.outcomes),
        "wrong": soak.wrong[:20],
        "before": before,
        "quarters": marks,
        "after": after,
        "spool": left,
        "resumed": {name: found.count(name) for name in set(found)},
    }


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    else:
        print(json.dumps(main(int(sys.argv[1]) if len(sys.argv) > 1 else 4000)))
