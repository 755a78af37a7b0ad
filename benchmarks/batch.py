"""
What a batch promises, measured: ``python benchmarks/batch.py [kills] [dask] [memory] [cpu] [rate]
[scale]`` in the development environment; without names, everything.

``cpu`` compares with LiteLLM's ``batch_completion`` where litellm is installed. The figures go to
``benchmarks/batch.json``, and the plot of ``scale`` to ``docs/scale.svg``.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import random
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.batch import killed  # noqa: E402
from tests.batch.simulated import Simulation  # noqa: E402
from tests.images import make  # noqa: E402

from aigc_kit import ChatClient, ImageClient, ImageProvider, ImageResult  # noqa: E402
from aigc_kit.batch import Summary, read_manifest, run_batch  # noqa: E402
from aigc_kit.batch.worker import Outcome  # noqa: E402
from aigc_kit.image.client import register_provider  # noqa: E402
from aigc_kit.sandbox import Sandbox  # noqa: E402
from aigc_kit.sandbox.faults import Fault  # noqa: E402
from aigc_kit.sandbox.http import Answer, Request  # noqa: E402
from aigc_kit.storage import LocalStorage  # noqa: E402

Found = dict[str, Any]
JOBS = 2000
FAULTS = 0.1
PATH = "/images/generations"


class Vendor(Sandbox):
    """
    The sandbox with faults by chance, which keeps the books: what it was asked, and what it ran.

    Of the faults, two fifths are 429s (certainly not run); the others are responses that are lost
    after the image was drawn, and 503s, after which the outcome is unknown.
    """

    def __init__(self, *, faults: float = 0.0, seconds: float = 0.0, seed: int = 7) -> None:
        super().__init__()
        self.posts: Counter[str] = Counter()
        self.ran: Counter[str] = Counter()
        self._share, self._seconds, self._dice = faults, seconds, random.Random(seed)

    def handle(self, request: Request) -> Answer:
        if not request.path.endswith(PATH):
            return super().handle(request)
        if self._seconds:
            time.sleep(self._seconds)
        answer = super().handle(request)
        with self._lock:
            self.requests.clear()
            body = request.recorded().body
            prompt = body["prompt"] if isinstance(body, dict) else "half a request"
            self.posts[prompt] += 1
            chance = self._dice.random()
            if chance < self._share * 0.4:
                return Answer(429, {"error": {"code": "RateLimitExceeded"}}, {"retry-after": "0"})
            if chance < self._share * 0.6:
                return Answer(503, {"error": {"code": "ServiceUnavailable"}})
            if answer.status == 200:
                self.ran[prompt] += 1
            lost = chance < self._share
        return replace(answer, fault=Fault("close")) if lost else answer


def books(vendor: Vendor, out: Path, jobs: int) -> Found:
    """What was paid for, compared with what is there."""
    lines = {line.id: line for line in read_manifest(out)}
    done = [line for line in lines.values() if line.status == "done"]
    unknown = {line.prompt for line in lines.values() if line.status == "unknown"}
    files = {line.file for line in done if line.file and (out / line.file).is_file()}
    known = {line.prompt for line in done} | unknown
    return {
        "jobs": jobs,
        "images": len(files),
        "unknown": len(unknown),
        "of the unknown, run by the vendor": sum(vendor.ran[prompt] for prompt in unknown),
        "failed": sum(line.status == "failed" for line in lines.values()),
        "POSTs": sum(vendor.posts.values()),
        "run by the vendor": sum(vendor.ran.values()),
        "duplicates": sum(count > 1 for count in vendor.ran.values()),
        "losses": sum(prompt not in known for prompt in vendor.ran)
        + (len(done) - len(files))
        + (jobs - len(lines)),
    }


def started(module: str, out: Path, vendor: Vendor, **options: Any) -> subprocess.Popen[str]:
    told = {"url": vendor.url, "key": vendor.api_key, "out": str(out), **options}
    path = out.parent / f"{out.name}.json"
    path.write_text(json.dumps(told))
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.batch.{module}", str(path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> Found:
    out, errors = process.communicate()
    if not out:
        raise SystemExit(errors)
    found: Found = json.loads(out.splitlines()[-1])
    return found


def kills(folder: Path) -> Found:
    """2,000 jobs, a tenth of the requests fail, killed five times at random and resumed."""
    dice = random.Random(11)
    with Vendor(faults=FAULTS) as vendor:
        out = folder / "kills"
        goals = sorted(dice.sample(range(100, JOBS - 100), 5))
        for goal in goals:
            process = started("killed", out, vendor, jobs=JOBS)
            while sum(vendor.posts.values()) < goal and process.poll() is None:
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        finished(started("killed", out, vendor, jobs=JOBS))
        found = books(vendor, out, JOBS) | {"killed after POSTs": goals}
        again = finished(started("killed", out, vendor, jobs=JOBS, retry_ambiguous=True))
        return found | {"done after retry_ambiguous": again["done"], "left": again["unknown"]}


def dask(folder: Path) -> Found:
    """The same on a Dask cluster of two workers with four threads, both killed once."""
    with Vendor(faults=FAULTS) as vendor:
        out = folder / "dask"
        summary = finished(started("on_dask", out, vendor, jobs=JOBS, kills=[500, 1300]))
        return books(vendor, out, JOBS) | {"workers killed": summary["killed"]}


class Instant(Executor):
    """Workers that are done at once: what is left is the engine."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(Outcome(status="done", provider="instant", url="https://x/y.png"))
        return future


def engine_alone(path: str, out: str) -> tuple[float, float]:
    """(CPU seconds, peak RSS in MB) of a run over a file; in a process of its own."""
    before = time.process_time()
    run_batch(path, out, provider="volcengine", executor=Instant(), concurrency=16, progress=False)
    spent = time.process_time() - before
    return spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory(folder: Path) -> Found:
    """Peak memory of the coordinator and its CPU, from 1,000 to 100,000 jobs of a JSONL file."""
    found: Found = {}
    for count in (1_000, 10_000, 100_000):
        path = folder / f"{count}.jsonl"
        with path.open("w") as file:
            for n in range(count):
                file.write(json.dumps({"id": f"job-{n}", "prompt": f"a cat, number {n}"}) + "\n")
        context = multiprocessing.get_context("spawn")
        with context.Pool(1) as pool:
            spent, peak = pool.apply(engine_alone, (str(path), str(folder / f"run-{count}")))
        found[f"{count} jobs"] = {
            "peak MB": round(peak, 1),
            "CPU ms per job": round(spent / count * 1e3, 3),
        }
    return found


class Painter(ImageProvider):
    """Draws at once, in this process."""

    @property
    def name(self) -> str:
        return "painter"

    def text_to_image(self, prompt: str, *, size: str = "", **kwargs: Any) -> ImageResult:
        return ImageResult.from_bytes(IMAGE + prompt.encode())

    def image_to_image(self, prompt: str, **kwargs: Any) -> ImageResult:
        raise NotImplementedError


IMAGE = make()


def cpu(folder: Path) -> Found:
    """CPU of the engine for a job: the same calls from a bare ThreadPoolExecutor and from a batch."""
    register_provider("painter", Painter)
    count, found = 1000, {"bare image": [], "batch image": [], "bare chat": [], "batch chat": []}
    with _separate(0.0) as vendor:
        chat = {"api_key": vendor["key"], "base_url": f"{vendor['url']}/deepseek"}
        works: dict[str, Callable[[Path, int], None]] = {
            "bare image": bare_images,
            "batch image": batch_images,
            "bare chat": lambda out, n: bare_chats(chat, n),
            "batch chat": lambda out, n: batch_chats(out, chat, n),
        }
        if _has("litellm"):
            works["LiteLLM batch_completion"] = lambda out, n: litellm_chats(chat, n)
            found["LiteLLM batch_completion"] = []
        for name, work in works.items():
            work(folder / f"warm {name}", 50)
        for turn in range(5):
            for name, work in works.items():
                before = time.process_time()
                work(folder / f"{turn} {name}", count)
                found[name].append((time.process_time() - before) / count * 1e3)
    middle = {name: round(statistics.median(values), 2) for name, values in found.items()}
    return {f"{name}, ms per job": value for name, value in middle.items()} | {
        "engine, image": round(middle["batch image"] - middle["bare image"], 2),
        "engine, chat": round(middle["batch chat"] - middle["bare chat"], 2),
    }


def bare_images(out: Path, count: int) -> None:
    with (
        ImageClient("painter", storage=LocalStorage(out), spool_dir=out / "journal") as client,
        ThreadPoolExecutor(16) as pool,
    ):
        tasks = [
            pool.submit(client.text_to_image, f"cat {n}", idempotency_key=f"{n}")
            for n in range(count)
        ]
        for task in tasks:
            task.result()


def batch_images(out: Path, count: int) -> None:
    rows = [{"id": f"{n}", "prompt": f"cat {n}"} for n in range(count)]
    summary = run_batch(rows, out, provider="painter", renditions=(), progress=False)
    _check(summary, count)


def bare_chats(options: Found, count: int) -> None:
    with ChatClient("deepseek", **options) as client, ThreadPoolExecutor(16) as pool:
        tasks = [
            pool.submit(client.chat, [{"role": "user", "content": f"cat {n}"}])
            for n in range(count)
        ]
        for task in tasks:
            task.result()


def batch_chats(out: Path, options: Found, count: int) -> None:
    rows = [{"id": f"{n}", "prompt": f"cat {n}"} for n in range(count)]
    summary = run_batch(
        rows, out, kind="chat", provider="deepseek", client_options=options, progress=False
    )
    _check(summary, count)


def litellm_chats(options: Found, count: int) -> None:
    import litellm

    litellm.suppress_debug_info = True
    answers = litellm.batch_completion(
        model="openai/deepseek-flash",
        messages=[[{"role": "user", "content": f"cat {n}"}] for n in range(count)],
        max_workers=16,
        api_key=options["api_key"],
        api_base=options["base_url"],
    )
    if any(isinstance(answer, Exception) for answer in answers):
        raise SystemExit(f"litellm failed: {answers[0]!r}")


def _check(summary: Summary, count: int) -> None:
    if summary.done != count:
        raise SystemExit(f"a run did not end well: {summary}")


def _has(name: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(name) is not None


def rate(folder: Path) -> Found:
    """A simulated hour at each of three limits, and one with a coordinator that wakes 10 ms late."""
    found: Found = {}
    for limit, lateness in ((60, 0.0), (600, 0.0), (600, 0.01), (3000, 0.01)):
        run = Simulation(limit * 60, limits=limit, concurrency=2000, lateness=lateness).run()
        took = run.workers.sent[-1] - run.workers.sent[0]
        real = (limit * 60 - 1) / took * 60
        found[f"{limit}/min, {lateness * 1e3:.0f} ms late"] = {
            "sent per minute": round(real, 2),
            "off by": f"{real / limit - 1:+.2%}",
            "most in any minute": run.most_in(60.0),
        }
    return found


SECONDS = 2.0
THREADS = 4
LIMIT = 300
WORKERS = (1, 2, 4, 8)


def serve(pipe: Any, seconds: float) -> None:
    with Vendor(seconds=seconds) as vendor:
        pipe.send({"url": vendor.url, "key": vendor.api_key})
        pipe.recv()


@contextmanager
def _separate(seconds: float) -> Iterator[Found]:
    """The vendor in a process of its own: its CPU is not ours."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, seconds), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send(None)
        process.join()


def scale(folder: Path) -> Found:
    """
    Images a second from 1 to 8 Dask workers of four threads, from a vendor that takes two seconds:
    without a limit, and at 300 a minute.
    """
    from distributed import Client, LocalCluster

    found: Found = {}
    with _separate(SECONDS) as vendor:
        for workers in WORKERS:
            with (
                LocalCluster(
                    n_workers=workers,
                    threads_per_worker=THREADS,
                    dashboard_address=None,
                    local_directory=str(folder / "cluster"),
                ) as cluster,
                Client(cluster) as client,
            ):
                model = workers * THREADS / SECONDS
                row: Found = {"model": model}
                for name, limits in (("no limit", None), (f"{LIMIT}/min", LIMIT)):
                    bound = model if limits is None else min(model, LIMIT / 60)
                    jobs = round(bound * 20)
                    measured = _throughput(
                        folder / f"{workers} {name[:2]}", vendor, client, jobs, limits
                    )
                    row[name] = round(measured, 2)
                found[f"{workers} workers"] = row
                print(workers, row, flush=True)
    (ROOT / "docs" / "scale.svg").write_text(plot(found), "utf-8")
    return found


def _throughput(out: Path, vendor: Found, client: Any, jobs: int, limits: Any) -> float:
    options = killed.options(vendor["url"], vendor["key"])
    common: Found = {"executor": client.get_executor(), "progress": False, **options}
    slots = sum(client.nthreads().values())
    run_batch(killed.rows(slots), out.with_name(out.name + " warm"), concurrency=slots, **common)
    ends: list[float] = []
    began = time.monotonic()
    summary = run_batch(
        killed.rows(jobs),
        out,
        concurrency=slots,
        limits=limits,
        on_line=lambda line: ends.append(time.monotonic()),
        **common,
    )
    _check(summary, jobs)
    if limits is None:  # calls end in waves: all of the time, the start too
        return jobs / (ends[-1] - began)
    return (jobs - 1) / (ends[-1] - ends[0])


def plot(found: Found) -> str:
    """The table as an SVG that reads well on white and on black."""
    width, height, left, bottom = 640, 360, 60, 50
    most = max(row["model"] for row in found.values())
    names = {"model": "#888888", "no limit": "#2a7f9e", f"{LIMIT}/min": "#c0392b"}

    def at(workers: int, value: float) -> str:
        x = left + (width - left - 120) * workers / max(WORKERS)
        y = height - bottom - (height - bottom - 30) * value / most
        return f"{x:.1f},{y:.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
        ' font-family="sans-serif" font-size="13" fill="#777777">',
        f"<title>Images a second from 1 to {max(WORKERS)} workers</title>",
    ]
    for value in range(0, int(most) + 1, 4):
        x, y = at(0, value).split(",")
        end = at(max(WORKERS), value).split(",")[0]
        parts.append(f'<path d="M{x} {y}H{end}" stroke="#999999" stroke-opacity="0.4"/>')
        parts.append(
            f'<text x="{float(x) - 8}" y="{float(y) + 4}" text-anchor="end">{value}</text>'
        )
    for workers in WORKERS:
        x = at(workers, 0).split(",")[0]
        parts.append(f'<text x="{x}" y="{height - 28}" text-anchor="middle">{workers}</text>')
    middle = at(max(WORKERS) // 2, 0).split(",")[0]
    parts.append(
        f'<text x="{middle}" y="{height - 8}" text-anchor="middle">workers of {THREADS} threads; '
        f"the vendor takes {SECONDS:.0f} s</text>"
    )
    parts.append('<text x="8" y="18">images a second</text>')
    for name, color in names.items():
        values = [row[name] for row in found.values()]
        points = " ".join(map(at, WORKERS, values))
        dash = ' stroke-dasharray="5 4"' if name == "model" else ""
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"{dash}/>'
        )
        x, y = at(max(WORKERS), values[-1]).split(",")
        shift = -8 if name == "model" else 12
        parts.append(
            f'<text x="{float(x) + 8}" y="{float(y) + shift}" fill="{color}">{name}</text>'
        )
    return "\n".join([*parts, "</svg>\n"])


WORKS = {"kills": kills, "dask": dask, "memory": memory, "cpu": cpu, "rate": rate, "scale": scale}


def main(names: list[str]) -> int:
    path = ROOT / "benchmarks" / "batch.json"
    facts: Found = json.loads(path.read_text("utf-8")) if path.exists() else {}
    for name in names or WORKS:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            found = WORKS[name](Path(folder))
        facts[name] = {**found, "seconds of the benchmark": round(time.monotonic() - began, 1)}
        facts["machine"] = (
            f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
        )
        print(name, json.dumps(facts[name], indent=1), flush=True)
        path.write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
