"""The command as a process, against the sandbox: stdout, stderr, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from aigc_kit import ImageResult
from aigc_kit.cli import _images
from aigc_kit.image import read_labels
from aigc_kit.sandbox import Sandbox
from tests.images import make

AIGC_KIT = [sys.executable, "-m", "aigc_kit"]


class Shell:
    """A directory and an environment to run commands in."""

    def __init__(self, folder: Path, box: Sandbox) -> None:
        self.folder = folder
        self.box = box
        kept = {
            name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TEMP") if name in os.environ
        }
        self.env: dict[str, str] = {
            **kept,
            "HOME": str(folder / "home"),
            "LANG": "C.UTF-8",
            "AIGC_KIT_SPOOL_DIR": str(folder / "spool"),
            "VOLCENGINE_API_KEY": box.api_key,
            "VOLCENGINE_BASE_URL": box.ark_url,
            "DEEPSEEK_API_KEY": box.api_key,
            "DEEPSEEK_BASE_URL": f"{box.url}/deepseek",
            "GEMINI_API_KEY": box.api_key,
            "GOOGLE_GEMINI_BASE_URL": box.url,
        }

    def run(
        self, *arguments: str, stdin: str | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*AIGC_KIT, *arguments],
            cwd=self.folder,
            env={**self.env, **(env or {})},
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*AIGC_KIT, *arguments],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            # A shell that runs this in the background has Ctrl-C ignored, and children inherit it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


@pytest.fixture
def shell(tmp_path: Path, sandbox: Sandbox) -> Shell:
    return Shell(tmp_path, sandbox)


def test_an_image_is_saved_and_its_path_is_all_of_stdout(shell: Shell) -> None:
    done = shell.run("image", "一只橘猫", "--size", "16:9", "--out", "图片/")
    assert (done.returncode, done.stderr) == (0, "")
    path = shell.folder / done.stdout.strip()
    assert path.parent.name == "图片"
    assert path.read_bytes()[:3] == b"\xff\xd8\xff"
    assert shell.box.requests[0].body["prompt"] == "一只橘猫"
    assert list((shell.folder / "spool").glob("*.entry")) == []


def test_a_file_gets_the_name_that_was_asked_for_and_the_type_that_came(shell: Shell) -> None:
    done = shell.run("image", "a cat", "-p", "gemini", "--out", "cat.png", "--size", "1:1")
    assert done.returncode == 0
    assert done.stdout == "cat.jpg\n"
    assert "saved as cat.jpg" in done.stderr
    refused = shell.run("image", "a cat", "-p", "gemini", "--out", "cat.jpg")
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert "exists: choose another name, or pass --force" in refused.stderr
    assert len(shell.box.requests) == 1
    forced = shell.run("image", "a cat", "-p", "gemini", "--out", "cat.jpg", "--force")
    assert forced.stdout == "cat.jpg\n"


def test_the_file_has_the_label(shell: Shell) -> None:
    done = shell.run(
        "image",
        "a cat",
        "--out",
        "cat.jpg",
        "--size",
        "2K",
        "--label",
        "示例公司",
        "--visible-label",
    )
    assert (done.returncode, done.stdout) == (0, "cat.jpg\n"), done.stderr
    assert (
        read_labels((shell.folder / "cat.jpg").read_bytes()).aigc["ContentProducer"] == "示例公司"
    )
    assert shell.run("image", "a cat", "--visible-label").returncode == 2
    assert len(shell.box.requests) == 2  # one image, and its download


def test_the_same_key_is_paid_once(shell: Shell) -> None:
    """Under whatever name the image is asked for."""
    for name in ("one.jpg", "two.jpg"):
        done = shell.run("image", "a cat", "--key", "order-7", "--out", name, "--size", "2K")
        assert (done.returncode, done.stdout) == (0, f"{name}\n"), done.stderr
    assert (shell.folder / "one.jpg").read_bytes() == (shell.folder / "two.jpg").read_bytes()
    assert len([r for r in shell.box.requests if r.path.endswith("/generations")]) == 1


def test_a_file_that_was_not_named_is_never_replaced(shell: Shell) -> None:
    """The type that comes may lead to a name that was not checked."""
    (shell.folder / "cat.jpg").write_text("mine")
    done = shell.run("image", "a cat", "-p", "gemini", "--out", "cat.png")
    assert done.stdout == "cat (2).jpg\n"
    assert (shell.folder / "cat.jpg").read_text() == "mine"


def test_several_images_of_which_one_is_blocked_are_a_part(shell: Shell) -> None:
    done = shell.run(
        "image", "Four [blocked image 2]", "-n", "4", "--out", "x.jpg", "--size", "2K", "--json"
    )
    found = json.loads(done.stdout)
    assert done.returncode == 3
    assert found["ok"] is False
    assert [Path(image["path"]).name for image in found["images"]] == [
        "x-1.jpg",
        "x-2.jpg",
        "x-3.jpg",
    ]
    assert [error["index"] for error in found["errors"]] == [2]
    assert found["errors"][0]["exit_code"] == 5
    assert all(Path(image["path"]).is_file() for image in found["images"])


def test_references_and_options_reach_the_vendor(shell: Shell) -> None:
    (shell.folder / "参考.png").write_bytes(make())
    done = shell.run(
        "image",
        "the same",
        "--ref",
        "参考.png",
        "--ref",
        "参考.png",
        "--option",
        "watermark=true",
        "--size",
        "2K",
    )
    assert done.returncode == 0, done.stderr
    body = shell.box.requests[0].body
    assert len(body["image"]) == 2
    assert body["watermark"] is True
    missing = shell.run("image", "the same", "--ref", "nowhere.png")
    assert missing.returncode == 2
    assert "'nowhere.png' is neither a URL nor a file" in missing.stderr
    told = shell.run("image", "the same", "--ref", "nowhere.png", "--json")
    assert told.returncode == 2
    error = json.loads(told.stdout)["error"]
    assert (error["type"], error["exit_code"]) == ("UsageError", 2)
    assert "'nowhere.png'" in error["message"]


IMAGE_KEYS = {
    "path",
    "url",
    "provider",
    "model",
    "mime_type",
    "width",
    "height",
    "requested_size",
    "sent_size",
    "usage",
    "cost",
    "warnings",
}
ERROR_KEYS = {
    "type",
    "message",
    "hint",
    "provider",
    "model",
    "request_id",
    "status_code",
    "code",
    "billed",
    "retryable",
    "exit_code",
}


def test_json_through_a_pipe_is_one_document_with_stable_keys(shell: Shell) -> None:
    """As in ``aigc-kit image ... --json | cat``."""
    command = f"{sys.executable} -m aigc_kit image cat --json | cat"
    done = subprocess.run(
        command, shell=True, cwd=shell.folder, env=shell.env, capture_output=True, check=True
    )
    found = json.loads(done.stdout)
    assert set(found) == {"ok", "images", "errors"}
    assert set(found["images"][0]) == IMAGE_KEYS
    assert b"\x1b" not in done.stdout + done.stderr
    failed = shell.run("image", "cat", "--json", env={"VOLCENGINE_API_KEY": "wrong-key"})
    error = json.loads(failed.stdout)["error"]
    assert set(error) == ERROR_KEYS
    assert (error["type"], error["exit_code"], failed.returncode) == ("AuthenticationError", 4, 4)


@pytest.mark.parametrize(
    ("arguments", "variables", "code", "said"),
    [
        (("image", "cat"), {"VOLCENGINE_API_KEY": "wrong-key"}, 4, "Coding plan"),
        (("image", "[blocked] cat"), {}, 5, "moderation refused"),
        (("image", "cat", "-p", "kimi"), {}, 2, "'kimi' chats but does not draw"),
        (("image", "cat", "-p", "gemni"), {}, 2, "did you mean 'gemini'"),
        (("image", "cat", "--size", "huge"), {}, 2, "size"),
        (("image", "cat", "--option", "seed"), {}, 2, "--option must be key=value"),
        (("image", "cat", "--store", "ftp"), {}, 2, "--store must be"),
        (("image", "cat", "--model", "doubao-seedream-9-9-270101"), {}, 1, "full id"),
        (("image",), {}, 2, "PROMPT"),
        (("imagine", "cat"), {}, 2, "did you mean 'image'"),
        (
            ("chat", "hi", "-p", "deepseek"),
            {"DEEPSEEK_API_KEY": "your-key"},
            4,
            "still has the placeholder 'your-key'",
        ),
        (("chat", "hi", "-p", "seedream"), {}, 2, "'seedream' draws but does not chat"),
        (("chat", "[blocked]", "-p", "deepseek"), {}, 5, "blocked the answer"),
        (("chat", "[cut]", "-p", "deepseek"), {}, 3, "max_tokens"),
        (("chat", "hi", "--tool", "nothing:here"), {}, 2, "nothing"),
        (("chat", "hi", "--schema", "{"), {}, 2, "--schema is not JSON"),
        (("chat",), {}, 2, "no prompt"),
        (("--env-file", "nowhere.env", "providers"), {}, 2, "is not a file"),
        (("providers", "deepsek"), {}, 2, "did you mean 'deepseek'"),
        (("doctor", "kimi"), {}, 4, ""),
    ],
)
def test_a_failure_is_two_lines_and_an_exit_code(
    shell: Shell, arguments: tuple[str, ...], variables: dict[str, str], code: int, said: str
) -> None:
    """Without a traceback."""
    done = shell.run(*arguments, env=variables)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert arguments[0] == "doctor" or len(done.stderr.strip().splitlines()) <= 2


def test_debug_shows_the_traceback(shell: Shell) -> None:
    done = shell.run("--debug", "image", "cat", env={"VOLCENGINE_API_KEY": "wrong-key"})
    assert "Traceback" in done.stderr
    assert done.returncode == 4


def test_an_answer_without_a_response_is_paid_perhaps(shell: Shell) -> None:
    shell.box.fail("close", path="/images/generations")
    done = shell.run("image", "cat")
    assert done.returncode == 6
    assert "may have been made and billed" in done.stderr
    again = shell.run("resume", "--json")
    found = json.loads(again.stdout)
    assert again.returncode == 6
    assert [error["type"] for error in found["errors"]] == ["OutcomeUnknownError"]
    assert shell.run("resume").stderr == "nothing to resume\n"
    assert len(shell.box.requests) == 1


def test_hints_are_in_the_language_that_was_asked_for(shell: Shell) -> None:
    for arguments, env in (
        (("--lang", "zh"), {}),
        ((), {"LANG": "zh_CN.UTF-8"}),
        ((), {"AIGC_KIT_LANG": "zh"}),
    ):
        done = shell.run(*arguments, "image", "[blocked]", env=env)
        assert "hint: 提示词或参考图未通过内容审核。" in done.stderr


def test_an_answer_is_streamed_to_stdout(shell: Shell) -> None:
    done = shell.run(
        "chat", "你好", "-p", "deepseek", "--system", "简短回答", "--option", "temperature=0.2"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "You said: 你好\n", done.stderr)
    body = shell.box.requests[0].body
    assert body["stream"] is True
    assert body["messages"][0] == {"role": "system", "content": "简短回答"}


def test_text_on_stdin_is_put_behind_the_prompt(shell: Shell) -> None:
    done = shell.run("chat", "Summarize:", "-p", "deepseek", "--no-stream", stdin="a long text\n")
    assert done.stdout == "You said: Summarize:\n\na long text\n"
    assert shell.run("chat", "-p", "deepseek", stdin="only this").stdout == "You said: only this\n"
    assert (
        shell.run("chat", "-", "-p", "deepseek", stdin="only this").stdout
        == "You said: only this\n"
    )


def test_a_chat_in_json_is_one_line_with_stable_keys(shell: Shell) -> None:
    done = shell.run("chat", "hi", "-p", "deepseek", "--json")
    assert done.stdout.count("\n") == 1
    assert set(json.loads(done.stdout)) == {
        "ok", "provider", "model", "content", "reasoning", "parsed", "tool_calls",
        "finish_reason", "usage", "cost", "request_id", "warnings",
    }  # fmt: skip


def test_a_schema_makes_the_answer_json(shell: Shell) -> None:
    schema = {
        "title": "Cat",
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
    }
    (shell.folder / "cat.json").write_text(json.dumps(schema))
    for given in ("cat.json", json.dumps(schema)):
        done = shell.run("chat", "invent", "-p", "deepseek", "--schema", given)
        assert done.returncode == 0, done.stderr
        assert set(json.loads(done.stdout)) == {"name"}


def test_a_function_of_the_working_directory_is_a_tool(shell: Shell) -> None:
    (shell.folder / "weather.py").write_text(
        'def warm(city: str) -> str:\n    """How warm it is."""\n    return f"22 in {city}"\n'
    )
    done = shell.run("chat", "How warm?", "-p", "deepseek", "--tool", "weather:warm")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("The tools said: 22 in ")
    assert "[warm " in done.stderr


def test_an_image_goes_with_the_question(shell: Shell) -> None:
    (shell.folder / "cat.png").write_bytes(make())
    done = shell.run("chat", "What is it?", "-p", "deepseek", "--image", "cat.png")
    assert done.returncode == 0, done.stderr
    parts = shell.box.requests[0].body["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url"]


def test_the_nearest_env_file_is_read_and_what_is_set_wins(shell: Shell) -> None:
    below = shell.folder / "a" / "b"
    below.mkdir(parents=True)
    (shell.folder / ".env").write_text("MOONSHOT_API_KEY=from-the-file\n")
    (shell.folder / "other.env").write_text("ZAI_API_KEY=from-the-other\n")
    ready = ready_in(shell, below)
    assert "moonshot" in ready
    assert "moonshot" not in ready_in(shell, below, "--no-env")
    assert "glm" in ready_in(shell, below, "--env-file", "../../other.env")


def ready_in(shell: Shell, folder: Path, *options: str) -> set[str]:
    done = subprocess.run(
        [*AIGC_KIT, *options, "providers", "--json"],
        cwd=folder,
        env=shell.env,
        capture_output=True,
        check=True,
    )
    return {entry["name"] for entry in json.loads(done.stdout)["providers"] if entry["ready"]}


def test_without_a_key_the_command_says_what_to_set(shell: Shell) -> None:
    bare = {name: "" for name in shell.env if name.endswith("_KEY")}
    done = shell.run("image", "cat", env=bare)
    assert done.returncode == 4
    assert "no provider for images has a key" in done.stderr


@pytest.mark.parametrize(
    "variables", [{"LANG": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]
)
def test_chinese_works_with_any_locale(shell: Shell, variables: dict[str, str]) -> None:
    done = shell.run("chat", "你好", "-p", "deepseek", env=variables)
    assert done.stdout == "You said: 你好\n"
    drawn = shell.run("image", "橘猫", "--out", "橘猫.jpg", "--size", "2K", env=variables)
    assert drawn.stdout == "橘猫.jpg\n"
    assert (shell.folder / "橘猫.jpg").is_file()


def test_a_reader_that_leaves_is_no_error(shell: Shell) -> None:
    command = f"{sys.executable} -m aigc_kit chat hello -p deepseek | true"
    done = subprocess.run(
        command, shell=True, cwd=shell.folder, env=shell.env, capture_output=True, check=False
    )
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr


def test_ctrl_c_during_a_paid_call_says_what_is_known(shell: Shell) -> None:
    """The request is there, no answer is: it may have been billed."""
    shell.box.answer(200, {}, delay=60.0, path="/images/generations")
    process = shell.start("image", "cat")
    until_requested(shell.box)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert "may have been billed" in err
    assert "Traceback" not in err
    assert shell.run("resume", "--json").returncode == 6


def until_requested(box: Sandbox) -> None:
    end = time.monotonic() + 60
    while not box.requests:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_sandbox_prints_variables_that_work(shell: Shell) -> None:
    process = shell.start("sandbox", "--format", "dotenv")
    assert process.stdout is not None
    assert process.stderr is not None
    assert "serving on http://127.0.0.1:" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    variables = dict(line.split("=", 1) for line in out.splitlines())
    assert {"DEEPSEEK_BASE_URL", "VOLCENGINE_API_KEY", "R2_ENDPOINT"} <= set(variables)


def test_the_doctor_is_readable_by_people_and_programs(shell: Shell) -> None:
    done = shell.run("doctor", "deepseek", "--online")
    assert done.returncode == 0, done.stdout
    assert "ok deepseek: the key works" in done.stdout
    found = json.loads(shell.run("doctor", "deepseek", "--json", "--lang", "zh").stdout)
    assert set(found) == {"ok", "findings"}
    assert set(found["findings"][0]) == {"level", "code", "subject", "text", "fix"}
    assert "来自 DEEPSEEK_API_KEY" in found["findings"][0]["text"]


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_program(shell: Shell, name: str) -> None:
    done = shell.run("completion", name)
    assert done.returncode == 0, done.stderr
    assert "_AIGC_KIT_COMPLETE" in done.stdout


def test_completion_knows_commands_and_providers(shell: Shell) -> None:
    asked = {
        "_AIGC_KIT_COMPLETE": "bash_complete",
        "COMP_WORDS": "aigc-kit image -p vol",
        "COMP_CWORD": "3",
    }
    assert "volcengine" in shell.run(env=asked).stdout
    asked = {"_AIGC_KIT_COMPLETE": "bash_complete", "COMP_WORDS": "aigc-kit do", "COMP_CWORD": "1"}
    assert "doctor" in shell.run(env=asked).stdout


def test_two_equal_images_are_two_files(shell: Shell) -> None:
    """They have one name in the store: a vendor's cache, or a fixed seed."""
    done = shell.run("image", "a cat", "-p", "gemini", "-n", "2", "--out", "two.jpg")
    assert (done.returncode, done.stdout) == (0, "two-1.jpg\ntwo-2.jpg\n")
    assert (shell.folder / "two-1.jpg").read_bytes() == (shell.folder / "two-2.jpg").read_bytes()


@pytest.mark.parametrize("force", [False, True])
def test_a_file_that_came_meanwhile_is_not_replaced(tmp_path: Path, force: bool) -> None:
    target = _images.Target(str(tmp_path / "cat.png"), 1, force=force)
    stored = tmp_path / "x.png"
    stored.write_bytes(make())
    (tmp_path / "cat.png").write_bytes(b"of somebody else")
    result = ImageResult(stored.as_uri())
    note = target.name(result, 0)
    assert note == ("" if force else "cat.png exists: saved as cat (2).png")
    named = _images.path_of(result.url)
    assert named is not None
    assert named.read_bytes() == make()
    assert ((tmp_path / "cat.png").read_bytes() == b"of somebody else") != force
    assert not stored.exists()


def test_a_name_that_cannot_be_given_leaves_the_image_where_it_is(tmp_path: Path) -> None:
    target = _images.Target(str(tmp_path / "cat.png"), 1, force=True)
    stored = tmp_path / "x.png"
    stored.write_bytes(make())
    (tmp_path / "cat.png").mkdir()
    result = ImageResult(stored.as_uri())
    assert "could not be saved as" in target.name(result, 0)
    assert (target.has_failed, stored.read_bytes()) == (True, make())
    assert result.url == stored.as_uri()


@pytest.mark.parametrize("more", [[], ["--visible-label"]])
def test_a_label_of_an_unset_variable_is_refused(shell: Shell, more: list[str]) -> None:
    done = shell.run("image", "a cat", "-p", "gemini", "--label", "", *more)
    assert (done.returncode, done.stdout) == (2, "")
    assert "producer must be the name" in done.stderr
    assert shell.box.requests == []


def test_resume_collects_a_task(shell: Shell) -> None:
    """With the key of the environment; without one it says so."""
    shell.env |= {"BFL_API_KEY": shell.box.api_key, "BFL_BASE_URL": f"{shell.box.url}/bfl/v1"}
    shell.box.answer(200, {"status": "Pending"}, path="get_result", times=None)
    command = ("image", "a cat", "-p", "bfl", "--timeout", "3", "--out", "a.png")
    assert shell.run(*command).returncode == 6
    shell.box.reset()
    without = shell.run("resume", "--out", "got", env={"BFL_API_KEY": ""})
    assert without.returncode == 6
    assert "bfl has a task" in without.stderr
    done = shell.run("resume", "--out", "got")
    assert (done.returncode, done.stderr) == (0, "")
    assert (shell.folder / done.stdout.strip()).stat().st_size
    assert sum(request.method == "POST" for request in shell.box.requests) == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["nope"], "no provider 'nope'"), (["deepseek", "--store", "oss"], "OSSStorage")],
)
def test_a_doctor_that_cannot_begin_says_so_in_json(
    shell: Shell, arguments: list[str], says: str
) -> None:
    done = shell.run("doctor", *arguments, "--json")
    document = json.loads(done.stdout)
    assert (document["ok"], done.returncode) == (False, document["error"]["exit_code"])
    assert says in document["error"]["message"]


def test_chat_begins_with_a_vendor_that_needs_nothing_more(shell: Shell) -> None:
    """Azure comes first by name; it has no model of its own, and no URL without a variable."""
    done = shell.run("chat", "hi", env={"AZURE_OPENAI_API_KEY": "k" * 20})
    assert (done.returncode, done.stderr.count("azure")) == (0, 0), done.stderr


def test_chat_says_what_the_only_vendor_lacks(shell: Shell) -> None:
    bare = {name: "" for name in shell.env if name.endswith("_KEY")}
    done = shell.run("chat", "hi", env={**bare, "AZURE_OPENAI_API_KEY": "k" * 20})
    assert done.returncode == 2
    assert "azure needs base_url" in done.stderr


def test_every_variable_of_the_sandbox_is_enough_to_chat(shell: Shell) -> None:
    done = shell.run("chat", "hi", env=shell.box.environment())
    assert done.returncode == 0, done.stderr
