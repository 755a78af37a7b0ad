"""``aigc-kit batch`` as a process: the manifest's path, the summary, exit codes."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from aigc_kit.sandbox import Sandbox
from tests.cli.test_commands import Shell
from tests.wire import until

MODEL = "ep-20251126-batch"


@pytest.fixture
def shell(tmp_path: Path, sandbox: Sandbox) -> Shell:
    made = Shell(tmp_path, sandbox)
    rows = [{"id": f"job-{n}", "prompt": f"猫 {n}"} for n in range(6)]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / "jobs.jsonl").write_text(text, "utf-8")
    return made


COMMON = ("--out", "run", "-p", "volcengine", "-m", MODEL, "-s", "64x64")


def test_the_manifest_s_path_is_all_of_stdout(shell: Shell) -> None:
    done = shell.run("batch", "jobs.jsonl", *COMMON, "--rate", "6000/min", "--timeout", "60")
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.strip())
    assert path == shell.folder / "run" / "manifest.jsonl"
    assert len(path.read_text("utf-8").splitlines()) == 6
    assert done.stderr.startswith("6 done, 0 failed, 0 unknown, 0 not run\n")
    assert "\x1b" not in done.stderr


def test_a_second_run_needs_resume(shell: Shell) -> None:
    shell.run("batch", "jobs.jsonl", *COMMON)
    refused = shell.run("batch", "jobs.jsonl", *COMMON)
    assert refused.returncode == 2
    assert "resume" in refused.stderr
    done = shell.run("batch", "jobs.jsonl", *COMMON, "--resume")
    assert (done.returncode, "6 of them were done before" in done.stderr) == (0, True)
    assert sum(request.method == "POST" for request in shell.box.requests) == 6


def test_what_is_unknown_is_told_and_paid_again_when_told_so(shell: Shell) -> None:
    shell.box.fail("close", path="/images/generations")
    done = shell.run("batch", "jobs.jsonl", *COMMON)
    assert done.returncode == 3
    assert "1 outcomes are unknown" in done.stderr
    assert "errors: OutcomeUnknownError 1" in done.stderr
    done = shell.run("--lang", "zh", "batch", "jobs.jsonl", *COMMON, "--resume")
    assert (done.returncode, "结果未知 1" in done.stderr) == (3, True)
    done = shell.run("batch", "jobs.jsonl", *COMMON, "--resume", "--retry-ambiguous")
    assert done.returncode == 0


def test_json_is_one_document(shell: Shell) -> None:
    done = shell.run("batch", "jobs.jsonl", *COMMON, "--json")
    document = json.loads(done.stdout)
    assert (document["ok"], document["done"], document["jobs"]) == (True, 6, 6)
    failed = shell.run("batch", "nowhere.jsonl", *COMMON, "--json")
    assert failed.returncode == 2
    assert json.loads(failed.stdout)["error"]["type"] == "InvalidInputError"


def test_jobs_come_from_stdin_too(shell: Shell) -> None:
    done = shell.run("batch", "-", *COMMON, stdin='{"prompt": "a"}\n\n{"prompt": "b"}\n')
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("2 done")
    bad = shell.run("batch", "-", "--out", "two", *COMMON[2:], stdin='{"prompt"\n')
    assert (bad.returncode, "job 1: it is not JSON" in bad.stderr) == (2, True)


def test_a_wrong_key_stops_the_run_and_is_the_exit_code(shell: Shell) -> None:
    done = shell.run("batch", "jobs.jsonl", *COMMON, env={"VOLCENGINE_API_KEY": "wrong"})
    assert done.returncode == 4, done.stderr
    assert "error: volcengine:ep-20251126-batch refused several jobs in a row" in done.stderr
    assert "--resume runs the rest" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rate", "fast"), "a limit cannot be read from 'fast'"),
        (("--rate", "1/s", "--rate", "2/s"), "given twice"),
        (("--option", "n=2"), "use --n"),
        (("--store", "http://x"), "--store must be"),
        (("--dask", "tcp://127.0.0.1:1"), "--dask"),
    ],
)
def test_wrong_options_are_refused(shell: Shell, arguments: tuple[str, ...], said: str) -> None:
    shell.env["DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT"] = "1s"
    done = shell.run("batch", "jobs.jsonl", *COMMON, *arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert shell.box.requests == []


def test_chats_are_told_by_kind(shell: Shell) -> None:
    done = shell.run("batch", "jobs.jsonl", "--out", "run", "-p", "deepseek", "--kind", "chat")
    assert done.returncode == 0, done.stderr
    assert "cost: deepseek 0." in done.stderr


def test_ctrl_c_finishes_what_is_under_way(shell: Shell) -> None:
    rows = "".join(json.dumps({"id": str(n), "prompt": "x"}) + "\n" for n in range(300))
    (shell.folder / "many.jsonl").write_text(rows)
    process = shell.start("batch", "many.jsonl", *COMMON)
    until(lambda: len(shell.box.requests) >= 20, 60)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    asked = sum(request.method == "POST" for request in shell.box.requests)
    assert out.endswith("manifest.jsonl\n")
    assert f"{asked} done, 0 failed, 0 unknown, {300 - asked} not run" in errors


def test_a_wrong_line_of_stdin_ends_the_run_with_what_was_done(shell: Shell) -> None:
    lines = '\ufeff{"id": "1", "prompt": "猫"}\nnope\n'
    done = shell.run("batch", "-", *COMMON, stdin=lines)
    assert (done.returncode, Path(done.stdout.strip()).name) == (3, "manifest.jsonl")
    assert "1 done" in done.stderr
    assert "it is not JSON" in done.stderr
    before = len(shell.box.requests)
    refused = shell.run("batch", "-", "--out", "other", *COMMON[2:], stdin="nope\n")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert len(shell.box.requests) == before


def test_a_batch_that_was_submitted_is_what_was_asked_for(shell: Shell) -> None:
    command = ("batch", "jobs.jsonl", "--out", "run", "-p", "gemini", "--vendor-batch")
    shell.box.batch_looks = 3
    done = shell.run(*command, "--no-wait")
    assert done.returncode == 0, done.stderr
    assert "--resume --vendor-batch" in done.stderr
    assert "--resume runs the rest" not in done.stderr
