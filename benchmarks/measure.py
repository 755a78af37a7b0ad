"""Running cases: workers, interleaved rounds, figures."""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cases import Case, Growth
from environments import HERE, OURS, EnvironmentFailed, Subject

PATIENCE = 20.0
"""Seconds for one answer of a worker; the slowest that works takes five."""

START_PATIENCE = 60.0
"""Seconds until a worker has made its client and tried it; the slowest takes three of CPU."""

BATCH = 0.1
"""Seconds of CPU that one sample takes at least, where calls are shorter."""

_FOREIGN = (
    "openai",
    "google",
    "boto3",
    "botocore",
    "httpx",
    "httpx2",
    "pydantic",
    "PIL",
    "urllib3",
    "jsonschema",
)

_IMPORT = f"""
import sys, time
exec(sys.argv[1])
cpu = time.process_time()
foreign = [name for name in {_FOREIGN!r} if name in sys.modules]
with open("/proc/self/status") as file:
    rss = next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
import json
print(json.dumps({{"cpu": cpu, "rss": rss, "foreign": len(foreign)}}))
"""

Figures = dict[str, Any]
Sampler = Callable[[], Figures]


class Failed(Exception):
    """A client could not do the work; the message says why."""


@dataclass(frozen=True)
class Upstream:
    http: str
    https: str
    authority: str
    folder: Path

    def stats(self, name: str = "stats") -> Figures:
        with urllib.request.urlopen(f"{self.http}/control/{name}") as response:
            found: Figures = json.load(response)
        return found

    def environment(self) -> dict[str, str]:
        """
        The same for every client: nothing of the machine's settings, and the upstream's
        certificate.
        """
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "PYTHONHASHSEED": "0",
            "PYTHONWARNINGS": "ignore",
            "AWS_CA_BUNDLE": self.authority,
            "AWS_EC2_METADATA_DISABLED": "true",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }


@contextmanager
def upstream(python: str) -> Iterator[Upstream]:
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [python, str(HERE / "upstream.py"), folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin
        assert process.stdout
        try:
            yield Upstream(**json.loads(process.stdout.readline()), folder=Path(folder))
        finally:
            process.stdin.close()
            process.wait(10)


class Worker:
    """One client in its process."""

    def __init__(
        self,
        subject: Subject,
        there: Upstream,
        operation: str,
        scenario: str,
        world: dict[str, int],
    ) -> None:
        spec = {
            "subject": subject.module,
            "operation": operation,
            "http": f"{there.http}/{scenario}",
            "https": there.https,
            **world,
        }
        self._said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - until close
        self._process = subprocess.Popen(
            [subject.python(), str(HERE / "worker.py"), json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            env=there.environment(),
            cwd=HERE,
        )
        try:
            self.start = self._answer(START_PATIENCE)
        except Failed:
            self.close()
            raise

    def ask(self, **command: Any) -> Figures:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        figures = self._answer()
        if "error" in figures:
            raise Failed(figures["error"])
        return figures

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()

    def _answer(self, seconds: float = PATIENCE) -> Figures:
        assert self._process.stdout
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            self._process.kill()
            raise Failed(f"no answer within {seconds:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            self._said.seek(0)
            raise Failed((self._said.read().strip().splitlines() or ["it ended"])[-1][:300])
        found: Figures = json.loads(line)
        return found


@dataclass
class Outcome:
    """
    The figures of each round by the client's name (None: it took no part), and why clients failed.
    """

    rounds: dict[str, list[Figures | None]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


def measured(
    case: Case, subjects: Sequence[Subject], there: Upstream, *, rounds: int, peer_rounds: int
) -> Outcome:
    """Interleaved: A B C, C B A, and so on; peers leave after ``peer_rounds``."""
    outcome = Outcome()
    peers = {subject.name for subject in subjects if subject.is_peer}
    with ExitStack() as stack:
        samplers = _samplers(case, subjects, there, stack, outcome)
        outcome.rounds = {name: [] for name in samplers}
        for number in range(rounds):
            order = list(samplers) if number % 2 == 0 else list(reversed(samplers))
            for name in order:
                left = name in peers and number >= peer_rounds
                figures = None if left else _sample(samplers[name], name, outcome)
                outcome.rounds[name].append(figures)
    for name in outcome.failures:
        outcome.rounds.pop(name, None)
    return outcome


def _samplers(
    case: Case, subjects: Sequence[Subject], there: Upstream, stack: ExitStack, outcome: Outcome
) -> dict[str, Sampler]:
    """Those that work and give as much as the first one; why the others do not is noted."""

    def prepared(subject: Subject) -> tuple[Sampler, int] | str:
        try:
            return _sampler(case, subject, there, stack)
        except (Failed, EnvironmentFailed) as error:
            return str(error)

    samplers: dict[str, Sampler] = {}
    size = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for subject, made in zip(subjects, pool.map(prepared, subjects), strict=True):
            if isinstance(made, str):
                outcome.failures[subject.name] = made
                continue
            sample, given = made
            size = size or given
            if given == size:
                samplers[subject.name] = sample
            else:
                outcome.failures[subject.name] = (
                    f"it gave {given} characters or bytes where ours gave {size}"
                )
    return samplers


def _sample(sample: Sampler, name: str, outcome: Outcome) -> Figures | None:
    if name in outcome.failures:
        return None
    try:
        return sample()
    except Failed as error:
        outcome.failures[name] = str(error)
        return None


def _sampler(
    case: Case, subject: Subject, there: Upstream, stack: ExitStack
) -> tuple[Sampler, int]:
    """
    (what gives one round's figures, the length of what the operation gave where it was tried).
    """
    if case.kind == "import":
        python = subject.python()
        statement = case.statement if case.statement and subject is OURS else subject.statement
        statement = case.statements.get(subject.name, statement)
        _imported(python, statement, there)  # compiles what is not yet
        return lambda: _imported(python, statement, there), 0
    if case.kind == "cold":
        return lambda: _cold(case, subject, there), _cold(case, subject, there)["size"]
    if case.kind == "connections":
        return lambda: _connections(case, subject, there), 0
    worker = Worker(subject, there, case.operation, case.scenario, case.world)
    stack.callback(worker.close)
    command = dict(case.command)
    if command["do"] == "leave":
        command["stats"] = f"{there.http}/control/stats"
    if command["do"] in ("run", "first") and "n" not in command:
        worker.ask(**command, n=2)
        command["n"] = max(1, min(200, round(BATCH / worker.ask(**command, n=1)["cpu"])))
    return lambda: worker.ask(**command), worker.start["size"]


def _imported(python: str, statement: str, there: Upstream) -> Figures:
    done = subprocess.run(
        [python, "-c", _IMPORT, statement],
        capture_output=True,
        text=True,
        env=there.environment(),
        cwd=there.folder,
        check=False,
    )
    if done.returncode:
        raise Failed((done.stderr.strip().splitlines() or ["it ended"])[-1][:300])
    found: Figures = json.loads(done.stdout.splitlines()[-1])
    return found


def _cold(case: Case, subject: Subject, there: Upstream) -> Figures:
    worker = Worker(subject, there, case.operation, case.scenario, case.world)
    worker.close()
    return worker.start


def _connections(case: Case, subject: Subject, there: Upstream) -> Figures:
    there.stats("reset")
    worker = Worker(subject, there, case.operation, case.scenario, {**case.world, "warm": 0})
    try:
        worker.ask(**case.command)
        return there.stats()
    finally:
        worker.close()


def grown(growth: Growth, there: Upstream, *, rounds: int) -> list[Figures]:
    """
    For each size the least CPU of the rounds, and the growth of memory; sizes are interleaved too.
    """
    found: list[Figures] = []
    with ExitStack() as stack:
        workers = []
        for size in growth.sizes:
            chunks = growth.varies == "chunks"
            scenario = (
                f"text-{size}"
                if chunks
                else "picture-64"
                if growth.varies == "references"
                else "plain"
            )
            worker = Worker(
                OURS, there, growth.operation, scenario, {} if chunks else {growth.varies: size}
            )
            stack.callback(worker.close)
            workers.append((size, worker))
        repeats: dict[int, int] = {}
        for _ in range(rounds):
            for size, worker in workers:
                if growth.command == "peak":
                    command = {"do": "peak"}
                else:
                    if size not in repeats:  # as long for the small ones, or they would be noise
                        repeats[size] = max(5, round(BATCH / worker.ask(do="run", n=2)["cpu"]))
                    command = {"do": "run", "n": repeats[size]}
                found.append({"n": size, **worker.ask(**command)})
    return [
        {
            "n": size,
            "cpu": min(figures["cpu"] for figures in found if figures["n"] == size),
            "growth": max(figures.get("growth", 0) for figures in found if figures["n"] == size),
        }
        for size in growth.sizes
    ]
