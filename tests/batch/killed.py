"""
One run of a batch in a process of its own, to be killed: ``python -m tests.batch.killed FILE``.

The file is JSON: ``{"url", "out", "jobs", "key", ...}``; the summary is printed as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from aigc_kit.batch import run_batch

MODEL = "ep-20251126-batch"
"""An endpoint of Ark's, which the sandbox draws at any size."""

SIZE = "64x64"


def rows(count: int) -> list[dict[str, Any]]:
    return [{"id": f"job-{n}", "prompt": f"cat {n}"} for n in range(count)]


def options(url: str, key: str) -> dict[str, Any]:
    return {
        "provider": "volcengine",
        "model": MODEL,
        "size": SIZE,
        "client_options": {"api_key": key, "base_url": f"{url}/api/v3", "timeout": 30},
        "renditions": (),
    }


def main(path: str) -> None:
    told = json.loads(Path(path).read_text("utf-8"))
    summary = run_batch(
        rows(told["jobs"]),
        told["out"],
        **options(told["url"], told["key"]),
        resume=True,
        concurrency=told.get("concurrency", 8),
        retry_ambiguous=told.get("retry_ambiguous", False),
    )
    print(json.dumps(summary.to_dict()))


if __name__ == "__main__":
    main(*sys.argv[1:])
