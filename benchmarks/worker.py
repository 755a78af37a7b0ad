"""
One client in a process of its own.

``python worker.py SPEC`` makes the operation that ``SPEC`` (JSON: ``subject``, ``operation``, and
the fields of ``World``) names, runs it once, and prints the CPU time of the process so far. Then it
takes commands, one JSON object a line, ``{"do": NAME, ...}``, and answers each with one line of
figures, or ``{"error": ...}``.

Figures: ``cpu`` and ``wall`` in seconds (CPU: user and system, all threads), ``size`` of what the
operation gave, ``growth``
in bytes.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from subjects.world import World

Operation = Callable[[], Any]
Figures = dict[str, Any]


def consumed(result: Any) -> int:
    """The length of a text or bytes, or of everything that an iterator of texts gives."""
    return len(result) if isinstance(result, (str, bytes)) else sum(map(len, result))


def run(operation: Operation, *, n: int) -> Figures:
    """``n`` times in a row."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(n):
        consumed(operation())
    return {"cpu": (time.process_time() - cpu) / n, "wall": (time.perf_counter() - wall) / n}


def first(operation: Operation, *, n: int) -> Figures:
    """To the first text of a stream; its rest is read outside of the clock."""
    cpu = wall = 0.0
    for _ in range(n):
        start_wall, start = time.perf_counter(), time.process_time()
        stream: Iterator[str] = operation()
        while not next(stream):
            pass
        cpu += time.process_time() - start
        wall += time.perf_counter() - start_wall
        consumed(stream)
    return {"cpu": cpu / n, "wall": wall / n}


def peak(operation: Operation) -> Figures:
    """Once, with the growth of the resident memory at its highest point."""
    import ctypes
    import gc

    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the high-water mark begins again
    before, cpu = _memory("VmRSS"), time.process_time()
    result = operation()
    size = consumed(result)
    cpu = time.process_time() - cpu
    return {"cpu": cpu, "growth": _memory("VmHWM") - before, "size": size}


def _memory(name: str) -> int:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))


def threads(operation: Operation, *, count: int, seconds: float, latency: float) -> Figures:
    """
    ``share`` of the calls that ``count`` threads could make if only the upstream took time, CPU of
    one call, and how it rises above that of a single thread.
    """
    alone = _threads(operation, 1, seconds, latency)
    together = _threads(operation, count, seconds, latency)
    return {**together, "alone": alone["cpu"], "rise": together["cpu"] / alone["cpu"]}


def _threads(operation: Operation, count: int, seconds: float, latency: float) -> Figures:
    from concurrent.futures import ThreadPoolExecutor
    from threading import Barrier

    together = Barrier(count)

    def loop() -> tuple[int, float, int]:
        calls = failed = 0
        together.wait()
        start = time.perf_counter()
        while time.perf_counter() - start < seconds:
            try:
                consumed(operation())
                calls += 1
            except Exception:
                failed += 1
                time.sleep(latency)
        return calls, time.perf_counter() - start, failed

    cpu = time.process_time()
    with ThreadPoolExecutor(count) as pool:
        done = [future.result() for future in [pool.submit(loop) for _ in range(count)]]
    cpu = time.process_time() - cpu
    calls = sum(made for made, _, _ in done)
    rate = sum(made / elapsed for made, elapsed, _ in done)
    return {
        "cpu": cpu / max(calls, 1),
        "share": rate * latency / count,
        "failed": sum(bad for _, _, bad in done),
    }


def load(operation: Operation, *, count: int, seconds: float) -> Figures:
    """
    ``count`` threads, each with one call after the other: calls a second, CPU of one, growth of the
    memory at its highest.
    """
    before = _memory("VmRSS")
    found = _threads(operation, count, seconds, 1.0)
    return {**found, "rate": found["share"] * count, "growth": _memory("VmHWM") - before}


def bursts(operation: Operation, *, count: int, waves: int) -> Figures:
    """``count`` calls at once, ``waves`` times."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(count) as pool:
        for _ in range(waves):
            for future in [pool.submit(lambda: consumed(operation())) for _ in range(count)]:
                future.result()
    return {}


def leave(operation: Operation, *, stats: str) -> Figures:
    """
    ``freed``: seconds from leaving a stream until the server sees that its connection is given up.
    """
    import urllib.request

    def busy() -> int:
        with urllib.request.urlopen(stats) as response:
            found: int = json.load(response)["busy"]
        return found

    before = busy()
    stream: Iterator[str] = operation()
    while not next(stream):
        pass
    start = time.perf_counter()
    stream.close()  # type: ignore[attr-defined]
    while time.perf_counter() - start < 2:
        if busy() <= before:
            return {"freed": time.perf_counter() - start}
    raise TimeoutError("the server still served the stream two seconds later")


def observe(operation: Operation) -> Figures:
    """
    Whether what watches httpx learns of a 429: its log, and the place in which OpenTelemetry's
    instrumentation stands, around ``HTTPTransport.handle_request``. 1 when every status was true.
    """
    logged: list[str] = []
    traced: list[int] = []
    for flavor in ("httpx", "httpx2"):
        with contextlib.suppress(ImportError):
            _watch(import_module(flavor), logging.getLogger(flavor), logged, traced)
    with contextlib.suppress(Exception):
        consumed(operation())
    return {
        "logged": int(bool(logged) and all(" 429 " in line for line in logged)),
        "traced": int(bool(traced) and all(status == 429 for status in traced)),
    }


def _watch(httpx: Any, logger: logging.Logger, logged: list[str], traced: list[int]) -> None:
    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logged.append(record.getMessage())

    logger.addHandler(Lines())
    logger.setLevel(logging.INFO)

    def around(kind: Any, name: str) -> None:
        plain = getattr(kind, name)

        def seen(self: Any, request: Any) -> Any:
            response = plain(self, request)
            traced.append(response.status_code)
            return response

        async def seen_later(self: Any, request: Any) -> Any:
            response = await plain(self, request)
            traced.append(response.status_code)
            return response

        setattr(kind, name, seen_later if "async" in name else seen)

    around(httpx.HTTPTransport, "handle_request")
    around(httpx.AsyncHTTPTransport, "handle_async_request")


def profile(operation: Operation, *, n: int) -> Figures:
    """Where the time of ``n`` runs goes."""
    import cProfile
    import io
    import pstats

    profiler = cProfile.Profile()
    profiler.runcall(run, operation, n=n)
    text = io.StringIO()
    statistics = pstats.Stats(profiler, stream=text)
    statistics.sort_stats("tottime").print_stats(25).sort_stats("cumulative").print_stats(45)
    return {"text": text.getvalue()}


COMMANDS: dict[str, Callable[..., Figures]] = {
    "run": run,
    "first": first,
    "peak": peak,
    "threads": threads,
    "load": load,
    "bursts": bursts,
    "leave": leave,
    "observe": observe,
    "profile": profile,
}


def main() -> None:
    spec = json.loads(sys.argv[1])
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    module, name = import_module(f"subjects.{spec.pop('subject')}"), spec.pop("operation")
    warm = spec.pop("warm", True)
    operation: Operation = getattr(module, name)(World(**spec))
    size = consumed(operation()) if warm else 0
    print(json.dumps({"cpu": time.process_time(), "rss": _memory("VmHWM"), "size": size}), file=out)
    for line in sys.stdin:
        command = json.loads(line)
        try:
            figures = COMMANDS[command.pop("do")](operation, **command)
        except Exception as error:
            figures = {"error": f"{type(error).__name__}: {str(error)[:300]}"}
        print(json.dumps(figures), file=out)
    os._exit(0)  # some libraries wait at exit for threads of theirs


if __name__ == "__main__":
    main()
