"""The captures in the documents are what the commands print."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from aigc_kit.sandbox import Sandbox
from tests.cli.test_commands import Shell

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("command-line.md", "command-line.zh-CN.md", "doctor.md", "doctor.zh-CN.md")


def captures(page: str) -> list[str]:
    text = (DOCS / page).read_text("utf-8")
    return re.findall(r"```console\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize(
    ("page", "place"), [(page, place) for page in PAGES for place in range(len(captures(page)))]
)
def test_a_capture_is_true(tmp_path: Path, sandbox: Sandbox, page: str, place: int) -> None:
    """Both streams, as on a terminal; ``...`` stands for anything."""
    shell = Shell(tmp_path, sandbox)
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "aigc-kit"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m aigc_kit "$@"\n')
    program.chmod(0o755)
    (tmp_path / "work").mkdir()
    env = {**shell.env, "PATH": f"{program.parent}:{shell.env['PATH']}"}
    parts = re.split(r"^\$ (.*)\n", captures(page)[place], flags=re.MULTILINE)[1:]
    for command, expected in zip(parts[::2], parts[1::2], strict=True):
        done = subprocess.run(
            ["sh", "-c", f"{{ {command}; }} 2>&1"],
            cwd=tmp_path / "work",
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        pattern = ".*".join(map(re.escape, expected.split("...")))
        assert re.fullmatch(pattern, done.stdout, re.DOTALL), f"$ {command}\n{done.stdout}"


def test_every_exit_code_is_documented() -> None:
    """In the help and in the document."""
    from aigc_kit.cli import _failures
    from aigc_kit.cli.main import _EPILOG

    names = ("FAILED", "USAGE", "PARTIAL", "CREDENTIAL", "BLOCKED", "PAID", "INTERRUPTED")
    text = (DOCS / "command-line.md").read_text("utf-8")
    for name in names:
        code = getattr(_failures, name)
        assert f"| {code} |" in text
        assert f" {code} " in _EPILOG


@pytest.mark.parametrize(
    ("page", "head"),
    [("doctor.md", "| vendor | request |"), ("doctor.zh-CN.md", "| 厂商 | 请求 |")],
)
def test_every_free_request_is_documented(page: str, head: str) -> None:
    """The doctor's page names every vendor that is asked."""
    from aigc_kit.doctor.vendors import providers

    text = (DOCS / page).read_text("utf-8")
    table = text[text.index(head) :]
    documented = {
        name.strip()
        for row in table.splitlines()
        for name in row.split("|")[1:2]
        for name in re.split("[,、]", name)
    }
    assert [name for name in providers() if name not in documented] == []
