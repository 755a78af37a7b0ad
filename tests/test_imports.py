"""
Import contracts: each rule of ``[tool.importlinter]`` is broken in a copy of the package, and the
linter sees it.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "aigc_kit"
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
    "contracts"
]

# contract, file below the package (new ones are made), a line that the contract forbids, what the
# report says of it
BREAKS = [
    ("house", "image/client.py", "import aigc_kit.chat.base", "image.client -> aigc_kit.chat.base"),
    ("house", "chat/client.py", "import aigc_kit.image.base", "chat.client -> aigc_kit.image.base"),
    ("house", "media/new.py", "import aigc_kit.storage.base", "media.new -> aigc_kit.storage.base"),
    (
        "house",
        "transport/new.py",
        "import aigc_kit.media.result",
        "transport.new -> aigc_kit.media.result",
    ),
    ("house", "errors.py", "import aigc_kit.settings", "errors -> aigc_kit.settings"),
    (
        "house",
        "sandbox/new.py",
        "import aigc_kit.transport.sse",
        "sandbox.new -> aigc_kit.transport.sse",
    ),
    ("house", "sandbox/new.py", "import aigc_kit.settings", "sandbox.new -> aigc_kit.settings"),
    ("house", "chat/client.py", "import aigc_kit.doctor", "chat.client -> aigc_kit.doctor"),
    ("house", "doctor/new.py", "import aigc_kit.cli", "doctor.new -> aigc_kit.cli"),
    ("doctor", "doctor/keys.py", "import aigc_kit.doctor.models", "keys -> aigc_kit.doctor.models"),
    ("doctor", "doctor/new_check.py", "", "- aigc_kit.doctor.new_check\n"),
    ("cli", "cli/image.py", "import aigc_kit.cli.chat", "cli.image -> aigc_kit.cli.chat"),
    ("cli", "cli/new_command.py", "", "- aigc_kit.cli.new_command\n"),
    ("house", "hints/row.py", "import aigc_kit.errors", "hints.row -> aigc_kit.errors"),
    (
        "prices",
        "prices/tokens.py",
        "import aigc_kit.prices.lookup",
        "tokens -> aigc_kit.prices.lookup",
    ),
    ("prices", "prices/new_table.py", "", "- aigc_kit.prices.new_table\n"),
    ("hints", "hints/ark.py", "import aigc_kit.hints.aws", "hints.ark -> aigc_kit.hints.aws"),
    ("hints", "hints/new_vendor.py", "", "- aigc_kit.hints.new_vendor\n"),
    ("house", "new.py", "", "not listed as layers:\n\n- aigc_kit.new\n"),
    (
        "image",
        "image/gemini/new.py",
        "import aigc_kit.image.volcengine",
        "image.gemini.new -> aigc_kit.image.volcengine",
    ),
    (
        "image",
        "image/base.py",
        "import aigc_kit.image.client",
        "image.base -> aigc_kit.image.client",
    ),
    ("image", "image/new_vendor.py", "", "- aigc_kit.image.new_vendor\n"),
    (
        "chat",
        "chat/gemini/new.py",
        "import aigc_kit.chat.bedrock",
        "chat.gemini.new -> aigc_kit.chat.bedrock",
    ),
    (
        "chat",
        "chat/bedrock/new.py",
        "import aigc_kit.chat.openai_compat",
        "new -> aigc_kit.chat.openai_compat",
    ),
    ("chat", "chat/new_dialect.py", "", "- aigc_kit.chat.new_dialect\n"),
    (
        "house",
        "embedding/client.py",
        "import aigc_kit.chat.base",
        "embedding.client -> aigc_kit.chat.base",
    ),
    (
        "embedding",
        "embedding/gemini.py",
        "import aigc_kit.embedding.bedrock",
        "embedding.gemini -> aigc_kit.embedding.bedrock",
    ),
    ("embedding", "embedding/new_vendor.py", "", "- aigc_kit.embedding.new_vendor\n"),
    ("house", "image/client.py", "import aigc_kit.batch", "image.client -> aigc_kit.batch"),
    ("batch", "batch/line.py", "import aigc_kit.batch.seen", "batch.line -> aigc_kit.batch.seen"),
    ("batch", "batch/new.py", "", "- aigc_kit.batch.new\n"),
    (
        "circles",
        "sandbox/new.py",
        "import aigc_kit.sandbox.newer",
        "No cycles are allowed in aigc_kit.sandbox.",
    ),
    (
        "storage",
        "image/gemini/new.py",
        "import aigc_kit.storage.base",
        "image.gemini.new -> aigc_kit.storage.base",
    ),
    (
        "storage",
        "image/new_vendor.py",
        "import aigc_kit.storage.base",
        "image.new_vendor -> aigc_kit.storage.base",
    ),
    ("sandbox", "transport/new.py", "import aigc_kit.sandbox", "transport.new -> aigc_kit.sandbox"),
    ("http", "chat/new_dialect.py", "def f():\n    import httpx", "chat.new_dialect -> httpx"),
    ("http", "settings.py", "import httpx2", "settings -> httpx2"),
    ("http", "sandbox/new.py", "from httpcore import Request", "sandbox.new -> httpcore"),
    (
        "openai_images",
        "image/openai/response.py",
        "import aigc_kit.image.openai.request",
        "response -> aigc_kit.image.openai.request",
    ),
    ("openai_images", "image/openai/new.py", "", "- aigc_kit.image.openai.new\n"),
    (
        "dashscope_images",
        "image/dashscope/response.py",
        "import aigc_kit.image.dashscope.request",
        "response -> aigc_kit.image.dashscope.request",
    ),
    ("dashscope_images", "image/dashscope/new.py", "", "- aigc_kit.image.dashscope.new\n"),
    (
        "gemini_images",
        "image/gemini/response.py",
        "import aigc_kit.image.gemini.request",
        "response -> aigc_kit.image.gemini.request",
    ),
    (
        "gemini_images",
        "image/volcengine/received.py",
        "import aigc_kit.image.volcengine.response",
        "received -> aigc_kit.image.volcengine.response",
    ),
    ("gemini_images", "image/volcengine/new.py", "", "- aigc_kit.image.volcengine.new\n"),
    (
        "sizes",
        "image/sizes/size.py",
        "import aigc_kit.image.sizes.gemini",
        "size -> aigc_kit.image.sizes.gemini",
    ),
    ("sizes", "image/sizes/new.py", "", "- aigc_kit.image.sizes.new\n"),
    ("openai", "transport/http.py", "import openai", "transport.http -> openai"),
    (
        "openai",
        "chat/openai_compat/new.py",
        "from openai.types import chat",
        "chat.openai_compat.new -> openai",
    ),
    ("google", "transport/http.py", "from google import genai", "transport.http -> google"),
    ("google", "image/new_vendor.py", "import google.genai.types", "image.new_vendor -> google"),
    ("aws", "storage/new.py", "import botocore.session", "storage.new -> botocore"),
    ("aws", "transport/http.py", "import urllib3", "transport.http -> urllib3"),
    ("aws", "chat/new_dialect.py", "import boto3", "chat.new_dialect -> boto3"),
]


def copied(folder: Path) -> Path:
    """A folder with the package and its contracts."""
    shutil.copytree(PACKAGE, folder / "aigc_kit", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def report(folder: Path) -> str:
    """What import-linter says of the package in ``folder``."""
    code = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", code, "--no-cache"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Contract -> what the report says of it when all forbidden lines are in place."""
    folder = copied(tmp_path_factory.mktemp("broken"))
    for _, file, line, _ in BREAKS:
        with (folder / "aigc_kit" / file).open("a", encoding="utf-8") as module:
            module.write(f"\n{line}\n")
    (folder / "aigc_kit" / "sandbox" / "newer.py").write_text(
        "import aigc_kit.sandbox.new\n", "utf-8"
    )
    _, _, text = report(folder).partition("Broken contracts")
    parts = {
        contract["id"]: text.partition(f"\n{contract['name']}\n---")[2] for contract in CONTRACTS
    }
    return {contract: re.split(r"\n[^\n]+\n-{5,}\n", part)[0] for contract, part in parts.items()}


def test_the_package_keeps_its_contracts(tmp_path: Path) -> None:
    """So that what breaks below is broken by the lines that were added."""
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in report(copied(tmp_path))


@pytest.mark.parametrize(("contract", "file", "line", "said"), BREAKS)
def test_a_forbidden_line_breaks_its_contract(
    broken: dict[str, str], contract: str, file: str, line: str, said: str
) -> None:
    """In a file of today and in one that is added tomorrow."""
    assert said in broken[contract]


def test_every_contract_is_broken_by_a_test() -> None:
    """A new contract needs a test that breaks it."""
    assert {contract["id"] for contract in CONTRACTS} == {contract for contract, *_ in BREAKS}


def test_the_environment_is_read_in_few_places() -> None:
    """
    Settings reads variables for options; transport reads those that name proxies and certificates;
    hints, which stand below settings, read the language; the sandbox sets what a test needs.
    """
    readers = {
        "hints/language.py",
        "sandbox/environment.py",
        "settings.py",
        "transport/clients.py",
        "testing/guard.py",
        "transport/proxies.py",
    }
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.getenv")
    }
    assert found <= readers
