"""Whole runs against the sandbox: what is in the manifest, what was paid, what is on the disk."""

from __future__ import annotations

import errno
import json
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from aigc_kit import ImageProvider, ImageResult
from aigc_kit.batch import Line, Summary, read_manifest, run_batch
from aigc_kit.batch.clients import Spec
from aigc_kit.errors import (
    ConfigurationError,
    InvalidInputError,
    StorageError,
    UnknownProviderError,
)
from aigc_kit.image.client import register_provider
from aigc_kit.sandbox import Sandbox
from aigc_kit.storage import LocalStorage, R2Storage, StoredObject
from tests.batch import killed
from tests.images import make
from tests.wire import until


def run(sandbox: Sandbox, out: Path, jobs: Any, **options: Any) -> Summary:
    return run_batch(jobs, out, **{**killed.options(sandbox.url, sandbox.api_key), **options})


def posts(sandbox: Sandbox) -> Counter[str]:
    """How often each prompt was asked for. A process that is killed may send half a request."""
    return Counter(
        request.body["prompt"]
        for request in list(sandbox.requests)
        if request.path.endswith("/images/generations") and isinstance(request.body, dict)
    )


def lines(out: Path) -> dict[str, Line]:
    return {line.id: line for line in read_manifest(out)}


def test_every_job_has_a_line_an_image_and_a_thumbnail(sandbox: Sandbox, tmp_path: Path) -> None:
    jobs = [{"id": "a", "prompt": "一只猫", "metadata": {"sku": "A-1"}}, {"prompt": "a dog"}]
    options = {**killed.options(sandbox.url, sandbox.api_key)}
    del options["renditions"]
    summary = run_batch(jobs, tmp_path / "run", **options)
    assert (summary.ok, summary.done, summary.jobs, summary.tries) == (True, 2, 2, 2)
    line = lines(tmp_path / "run")["a"]
    assert (line.prompt, line.size, line.model, line.provider) == (
        *("一只猫", killed.SIZE, killed.MODEL, "volcengine"),
    )
    assert line.metadata["job"] == {"sku": "A-1"}
    assert line.file is not None
    assert line.thumbnail is not None
    assert (tmp_path / "run" / line.file).read_bytes()[:2] == b"\xff\xd8"
    assert (tmp_path / "run" / line.thumbnail).read_bytes()[8:12] == b"WEBP"
    assert line.url == (tmp_path / "run" / line.file).as_uri()
    assert line.started.endswith("+00:00")


def test_images_go_to_a_shared_store(sandbox: Sandbox, tmp_path: Path) -> None:
    """A remote one has a key and a URL and no file; a local one with a web server has all three."""
    with R2Storage(**sandbox.storage_options()) as storage:
        assert run(sandbox, tmp_path / "r2", killed.rows(2), storage=storage).ok
    line = lines(tmp_path / "r2")["job-0"]
    assert line.url == f"https://assets.example.com/{line.storage_key}"
    assert line.file is None
    storage = LocalStorage(tmp_path / "web", base_url="https://img.example.com")
    assert run(sandbox, tmp_path / "local", killed.rows(2), storage=storage).ok
    line = lines(tmp_path / "local")["job-0"]
    assert line.url.startswith("https://img.example.com/")
    assert line.file == f"../web/{line.storage_key}"


def test_resuming_skips_what_is_done_and_pays_for_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    jobs = killed.rows(5)
    run(sandbox, tmp_path, jobs[:3])
    with pytest.raises(ConfigurationError, match="pass resume=True"):
        run(sandbox, tmp_path, jobs)
    summary = run(sandbox, tmp_path, jobs, resume=True)
    assert (summary.done, summary.skipped, summary.tries) == (5, 3, 2)
    assert set(posts(sandbox).values()) == {1}


def test_a_lost_manifest_costs_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    """The images are found by their jobs' ids."""
    run(sandbox, tmp_path, killed.rows(4))
    before = {name: line.url for name, line in lines(tmp_path).items()}
    (tmp_path / "manifest.jsonl").unlink()
    assert run(sandbox, tmp_path, killed.rows(4)).ok
    assert {name: line.url for name, line in lines(tmp_path).items()} == before
    assert set(posts(sandbox).values()) == {1}


def test_unknown_outcomes_are_told_and_paid_again_only_when_told_so(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.fail("close", path="/images/generations")
    summary = run(sandbox, tmp_path, killed.rows(3), concurrency=1)
    assert (summary.unknown, summary.done, summary.ok) == (1, 2, False)
    unknown = next(line for line in lines(tmp_path).values() if line.status == "unknown")
    assert unknown.error is not None
    assert unknown.error["type"] == "OutcomeUnknownError"
    assert unknown.error["billed"] == "unknown"
    assert unknown.error["hint"]
    summary = run(sandbox, tmp_path, killed.rows(3), resume=True)
    assert (summary.unknown, summary.tries) == (1, 0)
    assert len(list(read_manifest(tmp_path))) == 3
    summary = run(sandbox, tmp_path, killed.rows(3), resume=True, retry_ambiguous=True)
    assert (summary.unknown, summary.done, summary.tries) == (0, 3, 1)
    assert sum(posts(sandbox).values()) == 4


class Flaky(LocalStorage):
    """A store that fails as often as it is told."""

    failures = 0

    def upload_bytes(self, data: bytes, key: str, *, content_type: str) -> StoredObject:
        if self.failures:
            self.failures -= 1
            raise StorageError("the store is away", key=key)
        return super().upload_bytes(data, key, content_type=content_type)


def test_a_paid_image_whose_upload_failed_is_finished_by_resuming(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    storage = Flaky(tmp_path / "store")
    storage.failures = 1
    summary = run(sandbox, tmp_path / "run", killed.rows(1), storage=storage)
    assert (summary.failed, summary.paid_waiting) == (1, 1)
    summary = run(sandbox, tmp_path / "run", killed.rows(1), storage=storage, resume=True)
    assert summary.ok
    assert sum(posts(sandbox).values()) == 1


def test_an_id_with_another_prompt_is_refused_before_anything_is_sent(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    run(sandbox, tmp_path, killed.rows(2))
    changed = [*killed.rows(1), {"id": "job-1", "prompt": "another"}, {"id": "new", "prompt": "x"}]
    with pytest.raises(InvalidInputError, match="job 2: id 'job-1' was used in this directory"):
        run(sandbox, tmp_path, changed, resume=True)
    assert sum(posts(sandbox).values()) == 2


def test_a_429_pauses_all_workers_and_no_job_fails(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.answer(429, {}, headers={"retry-after": "1"}, path="/images/generations", times=4)
    summary = run(sandbox, tmp_path, killed.rows(12), concurrency=4)
    assert summary.ok
    assert summary.repeats == 4
    assert summary.learned


def test_a_fallback_takes_over_from_a_vendor_that_is_down(
    sandbox: Sandbox, tmp_path: Path, closed_port: int
) -> None:
    down = {"api_key": "k", "base_url": f"http://127.0.0.1:{closed_port}/v1"}
    summary = run_batch(
        killed.rows(20),
        tmp_path,
        provider=["glm:glm-image", f"volcengine:{killed.MODEL}"],
        size=killed.SIZE,
        client_options={"glm": down, "volcengine": sandbox.image_options("volcengine")},
        renditions=(),
        concurrency=4,
    )
    assert summary.done == 20
    assert {line.provider for line in read_manifest(tmp_path)} == {"volcengine"}
    (tmp_path / "manifest.jsonl").unlink()
    sandbox.reset()
    again = run_batch(
        killed.rows(20),
        tmp_path,
        provider=["glm:glm-image", f"volcengine:{killed.MODEL}"],
        size=killed.SIZE,
        client_options={
            "glm": {**down, "base_url": f"{sandbox.url}/nowhere"},
            "volcengine": sandbox.image_options("volcengine"),
        },
        renditions=(),
    )
    assert again.done == 20  # the first vendor finds that the second one drew them
    assert posts(sandbox) == Counter()


def test_a_wrong_key_stops_the_run(sandbox: Sandbox, tmp_path: Path) -> None:
    options = {"api_key": "wrong", "base_url": sandbox.ark_url}
    summary = run(sandbox, tmp_path, killed.rows(200), client_options=options, concurrency=2)
    assert "AuthenticationError" in summary.stopped
    assert len(sandbox.requests) < 10
    assert summary.not_run > 190
    assert run(sandbox, tmp_path, killed.rows(200)[:10], resume=True).ok


def test_chats_and_embeddings_run_through_the_same_engine(sandbox: Sandbox, tmp_path: Path) -> None:
    jobs = [
        {"id": "c", "kind": "chat", "prompt": "Name this cat", "provider": "deepseek"},
        {"id": "e", "kind": "embedding", "texts": ["a", "b"], "provider": "dashscope"},
        {"id": "i", "prompt": "a cat", "provider": "volcengine", "model": killed.MODEL},
    ]
    summary = run_batch(
        jobs,
        tmp_path,
        size=killed.SIZE,
        client_options={
            "deepseek": sandbox.chat_options("deepseek"),
            "dashscope": sandbox.embedding_options("dashscope"),
            "volcengine": sandbox.image_options("volcengine"),
        },
    )
    assert summary.ok
    found = lines(tmp_path)
    assert found["c"].metadata["content"] == "You said: Name this cat"
    assert found["c"].cost
    assert sum(summary.costs["deepseek"].values()) > 0
    assert found["e"].file == "vectors.jsonl"
    vectors = json.loads((tmp_path / "vectors.jsonl").read_text())
    assert vectors["id"] == "e"
    assert len(vectors["vectors"]) == 2
    assert len(vectors["vectors"][0]) == found["e"].metadata["dimensions"]


def test_references_are_sent(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(make())
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text('{"prompt": "at night", "references": ["cat.png"]}\n')
    assert run(sandbox, tmp_path / "run", jobs).ok
    body = next(request.body for request in sandbox.requests if request.method == "POST")
    assert body["image"]


class Odd(ImageProvider):
    """An application's provider that fails in its own way."""

    @property
    def name(self) -> str:
        return "odd"

    def text_to_image(self, prompt: str, *, size: str = "", **kwargs: Any) -> ImageResult:
        raise ZeroDivisionError("of its own")

    def image_to_image(
        self, prompt: str, *, reference_images: Any, size: str = "", **kwargs: Any
    ) -> ImageResult:
        raise ZeroDivisionError("of its own")


def test_whatever_a_provider_raises_is_a_line(tmp_path: Path) -> None:
    register_provider("odd", Odd)
    summary = run_batch(killed.rows(2), tmp_path, provider="odd")
    assert (summary.done, summary.ok) == (0, False)
    assert "ZeroDivisionError" in str(lines(tmp_path)["job-0"].error)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"provider": "nobody"}, UnknownProviderError, "no image provider 'nobody'"),
        ({"client_options": {"colour": 1}}, ConfigurationError, "colour"),
        ({"client_options": [1]}, ConfigurationError, "client_options must be a dict"),
        ({"options": {"n": 2}}, InvalidInputError, "write n jobs"),
        ({"size": 5}, ConfigurationError, "size must be a text"),
        ({"mode": ["live"]}, ConfigurationError, "mode must be one of live"),
        ({"mode": "night"}, ConfigurationError, "mode must be one of live"),
        ({"kind": "video"}, ConfigurationError, "kind must be one of"),
        ({"concurrency": 0}, ConfigurationError, "concurrency must be 1 or more"),
        ({"executor": 5}, ConfigurationError, "executor must be a concurrent.futures.Executor"),
        ({"limits": "fast"}, ConfigurationError, "a limit cannot be read from 'fast'"),
        ({"limits": {"volcengin": 5}}, ConfigurationError, "did you mean 'volcengine'"),
        ({"provider": 5}, InvalidInputError, "provider must be a name"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(
    sandbox: Sandbox, tmp_path: Path, options: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        run(sandbox, tmp_path, killed.rows(2), **options)
    assert sandbox.requests == []


def test_no_secret_is_in_the_manifest_or_in_a_repr(sandbox: Sandbox, tmp_path: Path) -> None:
    from aigc_kit.settings import hidden

    spec = Spec(key="k", kind="image", provider="volcengine", options=hidden({"api_key": "canary"}))
    assert "canary" not in repr(spec)
    assert pickle.loads(pickle.dumps(spec)) == spec
    run(
        sandbox,
        tmp_path,
        killed.rows(2),
        client_options={"api_key": "canary", "base_url": sandbox.ark_url},
    )
    assert "canary" not in (tmp_path / "manifest.jsonl").read_text()


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(sandbox: Sandbox) -> Iterator[Start]:
    """Start a run in a process of its own; none is left behind."""
    processes: list[subprocess.Popen[str]] = []

    def started(out: Path, count: int, **options: Any) -> subprocess.Popen[str]:
        processes.append(_started(sandbox, out, count, **options))
        return processes[-1]

    yield started
    for process in processes:
        process.kill()
        process.communicate()


def _started(
    sandbox: Sandbox, out: Path, count: int, *, module: str = "killed", **options: Any
) -> subprocess.Popen[str]:
    told = {"url": sandbox.url, "key": sandbox.api_key, "out": str(out), "jobs": count, **options}
    path = out.parent / f"{out.name}.json"
    path.write_text(json.dumps(told))
    command = [sys.executable, "-m", f"tests.batch.{module}", str(path)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs this in the background has Ctrl-C ignored, and children inherit it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, errors = process.communicate(timeout=120)
    assert out, errors
    found: dict[str, Any] = json.loads(out)
    return found


def test_a_batch_that_is_killed_at_random_pays_once_and_loses_nothing(
    sandbox: Sandbox, start: Start, tmp_path: Path
) -> None:
    """120 jobs, a tenth of the requests fail, and four kills; the benchmark has 2,000."""
    dice = random.Random(17)
    for _ in range(6):
        sandbox.answer(429, {}, headers={"retry-after": "0"}, path="/images/generations")
        sandbox.fail("close", path="/images/generations")
    out = tmp_path / "run"
    for _ in range(4):
        process = start(out, 120)
        goal = len(posts(sandbox)) + dice.randint(5, 25)
        until(lambda goal=goal: len(posts(sandbox)) >= goal, 60)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    summary = ended(start(out, 120))
    assert summary["done"] + summary["unknown"] == 120
    assert summary["failed"] == summary["not_run"] == 0
    asked = posts(sandbox)
    refused = sum(asked.values()) - 120
    assert refused <= 6  # the 429s, which cost nothing
    found = lines(out)
    files = [line.file for line in found.values() if line.status == "done"]
    assert len(set(files)) == summary["done"]
    assert all((out / str(file)).is_file() for file in files)
    assert 6 <= summary["unknown"] <= 6 + 4 * 8
    again = ended(start(out, 120, retry_ambiguous=True))
    assert (again["done"], again["unknown"]) == (120, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_finishes_what_is_paid_and_stops(
    sandbox: Sandbox, start: Start, tmp_path: Path, number: int
) -> None:
    out = tmp_path / "run"
    process = start(out, 400, concurrency=4)
    until(lambda: len(posts(sandbox)) >= 20, 60)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (-signal.SIGINT, 130, 1, 128 + signal.SIGTERM), errors
    asked = len(posts(sandbox))
    assert asked < 400
    found = lines(out)
    assert len(found) == asked
    assert {line.status for line in found.values()} == {"done"}


def test_the_second_signal_does_not_wait(sandbox: Sandbox, start: Start, tmp_path: Path) -> None:
    """Four calls hang; the journal has them."""
    out = tmp_path / "run"
    sandbox.fail("hang", path="/images/generations", times=4)
    process = start(out, 4, concurrency=4)
    until(lambda: sum(posts(sandbox).values()) >= 4, 60)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.kill()  # its threads still wait for the vendor
    process.communicate()
    summary = ended(start(out, 4))
    assert (summary["unknown"], summary["done"]) == (4, 0)


def test_worker_processes_make_their_own_clients(sandbox: Sandbox, tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        summary = run(sandbox, tmp_path, killed.rows(6), executor=executor)
    assert summary.ok
    assert set(posts(sandbox).values()) == {1}


def test_a_pool_whose_process_was_killed_loses_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    """The run ends with what to do; resuming asks the journal about the job that was under way."""
    sandbox.fail("hang", path="/images/generations", times=1)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:

        def kill() -> None:
            until(lambda: bool(posts(sandbox)), 60)
            for pid in list(executor._processes):
                os.kill(pid, signal.SIGKILL)

        thread = threading.Thread(target=kill)
        thread.start()
        summary = run(sandbox, tmp_path, killed.rows(3), executor=executor)
        thread.join()
    assert "run it again with resume=True" in summary.stopped
    assert summary.not_run == 3
    summary = run(sandbox, tmp_path, killed.rows(3), resume=True)
    assert (summary.done, summary.unknown) == (2, 1)
    assert set(posts(sandbox).values()) == {1}


def test_joblib_s_processes_are_an_executor(sandbox: Sandbox, tmp_path: Path) -> None:
    """As documented; what is not written on disk is pickled by cloudpickle."""
    from joblib.externals.loky import get_reusable_executor

    executor = get_reusable_executor(max_workers=2)
    try:
        summary = run(sandbox, tmp_path, killed.rows(6), executor=executor)
    finally:
        executor.shutdown(wait=True, kill_workers=True)
    assert summary.ok
    assert set(posts(sandbox).values()) == {1}


def test_dask_workers_are_killed_and_nothing_is_paid_twice(
    sandbox: Sandbox, start: Start, tmp_path: Path
) -> None:
    """Dask runs the tasks of a lost worker again; their journal entries say what was begun."""
    sandbox.answer(429, {}, headers={"retry-after": "0"}, path="/images/generations", times=5)
    out = tmp_path / "run"
    summary = ended(start(out, 80, module="on_dask", kills=[15, 40]))
    assert summary["killed"] == 2
    assert summary["done"] + summary["unknown"] == 80
    assert summary["failed"] == summary["not_run"] == 0
    asked = posts(sandbox)
    assert sum(asked.values()) <= 80 + 5
    files = [line.file for line in lines(out).values() if line.status == "done"]
    assert len(set(files)) == summary["done"]
    assert all((out / str(file)).is_file() for file in files)


def test_a_signal_ends_a_run_that_waits_for_its_source(tmp_path: Path) -> None:
    """Jobs from a pipe that nobody writes to."""
    code = (
        "import sys\nfrom aigc_kit.batch import run_batch\n"
        "rows = ({'prompt': line} for line in sys.stdin)\n"
        f"print('go', flush=True)\nrun_batch(rows, {str(tmp_path)!r}, provider='volcengine',"
        " client_options={'api_key': 'k'})"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    until(lambda: (tmp_path / "journal").is_dir(), 60)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert b"KeyboardInterrupt" in errors


def test_a_disk_that_is_full_ends_the_run_and_loses_nothing(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The images are in the store, so that the next run finds them by their ids."""
    write = os.write
    journal = tmp_path / "manifest.jsonl"

    def full(file: int, data: bytes) -> int:
        if data.startswith(b'{"id":"job-') and journal.stat().st_size > 1000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data)

    with monkeypatch.context() as patched:
        patched.setattr("aigc_kit.batch.appender.os.write", full)
        with pytest.raises(StorageError, match="No space left"):
            run(sandbox, tmp_path, killed.rows(40), concurrency=4)
    assert sum(posts(sandbox).values()) < 16
    assert run(sandbox, tmp_path, killed.rows(40), resume=True).ok
    assert set(posts(sandbox).values()) == {1}


def test_an_empty_batch_is_done(sandbox: Sandbox, tmp_path: Path) -> None:
    summary = run(sandbox, tmp_path, [])
    assert (summary.ok, summary.jobs, summary.done) == (True, 0, 0)


def test_a_model_keeps_its_letters_and_its_limit(sandbox: Sandbox, tmp_path: Path) -> None:
    """Names of providers do not depend on upper and lower case, those of models do."""
    rows = [{"kind": "chat", "prompt": "hi", "provider": "DeepSeek:DeepSeek-Flash"}]
    summary = run_batch(
        rows,
        tmp_path,
        client_options={"deepseek": sandbox.chat_options("deepseek")},
        limits={"DeepSeek:DeepSeek-Flash": "600/min"},
    )
    assert summary.tries == 1
    assert next(r for r in sandbox.requests if r.method == "POST").body["model"] == "DeepSeek-Flash"


@pytest.mark.parametrize("change", [{"size": "128x64"}, {"options": {"seed": 7}}])
def test_an_unknown_outcome_stays_unknown_with_other_defaults(
    sandbox: Sandbox, tmp_path: Path, change: dict[str, Any]
) -> None:
    """The last line of an id counts: ``failed`` would say that nothing was paid."""
    sandbox.fail("close", path="/images/generations")
    jobs = [{"id": "a", "prompt": "一只猫"}]
    first = run(sandbox, tmp_path, jobs)
    assert first.unknown == 1
    again = run(sandbox, tmp_path, jobs, resume=True, **change)
    assert (again.unknown, again.failed) == (1, 0)
    assert lines(tmp_path)["a"].billed == "unknown"
    bought = run(sandbox, tmp_path, jobs, resume=True, retry_ambiguous=True, **change)
    assert (bought.done, posts(sandbox)) == (1, {"一只猫": 2})


def test_the_reference_of_a_job_that_is_done_may_be_gone(sandbox: Sandbox, tmp_path: Path) -> None:
    cat = tmp_path / "cat.png"
    cat.write_bytes(make("PNG", (256, 256)))
    given = {"client_options": {"gemini": sandbox.image_options("gemini")}, "gallery": False}
    rows = [
        {"id": "a", "prompt": "p", "provider": "gemini", "references": str(cat)},
        {"id": "b", "prompt": "q", "provider": "gemini"},
    ]
    assert run_batch(rows[:1], tmp_path / "run", **given).done == 1
    cat.unlink()
    summary = run_batch(rows, tmp_path / "run", resume=True, **given)
    assert (summary.done, summary.skipped) == (2, 1)
    with pytest.raises(InvalidInputError, match="neither a URL nor a file"):
        run_batch([{**rows[0], "id": "c"}], tmp_path / "run", resume=True, **given)
