"""
Check the model of ``docs/scale.md`` at small scale: ``uv run benchmarks/scale.py``.

Pictures of 0.8 MB from a vendor that takes a second, through to S3 over TLS, from one and two
processes. The model knows what
one thread costs, and foretells the rest: ``threads / (T + w)`` pictures a second until the cores
are spent, at the same CPU for
each, a connection to the vendor for each, and the same memory for each thread.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from environments import OURS, harness
from measure import Figures, Upstream, Worker, upstream

LATENCY = 1.0
SIDE = 512
SECONDS = 6.0
SHAPES = ((1, 1), (1, 8), (1, 32), (1, 64), (2, 32))
"""(processes, threads in each)."""


def main() -> int:
    with upstream(harness()) as there:
        alone = _measured(there, 1, 1)
        local = 1 / alone["rate"] - LATENCY
        print(
            f"one thread: {alone['cpu'] * 1e3:.1f} ms of CPU and {local * 1e3:.0f} ms of its own time for a picture"
        )
        print(
            "| processes x threads | pictures a second: model | measured | CPU for one | connections for one | memory for a thread |"
        )
        print("|---|---|---|---|---|---|")
        worst = 0.0
        for processes, threads in SHAPES:
            found = _measured(there, processes, threads)
            model = processes * threads / (LATENCY + local)
            worst = max(worst, abs(found["rate"] / model - 1))
            print(
                f"| {processes} x {threads} | {model:.1f} | {found['rate']:.1f} | {found['cpu'] * 1e3:.1f} ms |"
                f" {found['connections']:.2f} | {found['growth'] / threads / 1e6:.1f} MB |",
                flush=True,
            )
        print(f"the model is off by {worst:.0%} at most")
    return 0


def _measured(there: Upstream, processes: int, threads: int) -> Figures:
    scenario = f"wait{LATENCY * 1000:.0f}.picture-{SIDE}"
    workers = [Worker(OURS, there, "gemini_picture_stored", scenario, {}) for _ in range(processes)]
    try:
        there.stats("reset")
        with ThreadPoolExecutor(processes) as pool:
            found = list(
                pool.map(
                    lambda worker: worker.ask(do="load", count=threads, seconds=SECONDS), workers
                )
            )
    finally:
        for worker in workers:
            worker.close()
    failed = sum(figures["failed"] for figures in found)
    if failed:
        raise SystemExit(f"{failed} calls failed")
    stats = there.stats()
    pictures = stats["requests"] / 2  # one to the vendor, one to the store
    return {
        "rate": sum(figures["rate"] for figures in found),
        "cpu": sum(figures["cpu"] for figures in found) / processes,
        "growth": max(figures["growth"] for figures in found),
        "connections": stats["connections"] / pictures,
    }


if __name__ == "__main__":
    sys.exit(main())
