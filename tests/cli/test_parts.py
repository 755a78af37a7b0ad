"""What the commands are made of, and what loading them costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

import aigc_kit.cli
from aigc_kit import errors
from aigc_kit.cli import _failures, _stores, _terminal
from aigc_kit.cli.main import group

HEAVY = [
    "openai",
    "google",
    "boto3",
    "botocore",
    "httpx",
    "httpx2",
    "pydantic",
    "PIL",
    "dotenv",
    "aigc_kit.chat.client",
    "aigc_kit.image.client",
]


def test_help_loads_no_sdk_and_no_client() -> None:
    code = f"import sys\nfrom aigc_kit.cli.main import run\nrun(['--no-env', '--help'])\nprint([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_without_the_extra_the_command_says_how_to_install_it() -> None:
    code = "import sys\nsys.modules['click'] = None\nfrom aigc_kit.__main__ import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "The command line needs an extra: pip install 'aigc-kit[cli]'\n"


def test_every_file_is_a_command_with_json_and_a_short_help() -> None:
    """A new command is a new file; ``completion`` prints a script, whatever asks."""
    folder = Path(aigc_kit.cli.__file__).parent
    files = {p.stem for p in folder.glob("*.py")} - {"main"}
    names = {name for name in files if not name.startswith("_")}
    context = click.Context(group)
    assert set(group.list_commands(context)) == names
    for name in names:
        command = group.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.short_help
        assert command.help
        options = {option for param in command.params for option in param.opts}
        assert "--json" in options or name == "completion"


@pytest.mark.parametrize(
    ("error", "paid", "code"),
    [
        (errors.MissingCredentialError("x"), True, 4),
        (errors.QuotaExceededError("x"), True, 4),
        (errors.UnknownProviderError("x"), True, 2),
        (errors.InvalidInputError("x"), True, 2),
        (errors.ContentFilterError("x"), True, 5),
        (errors.OutcomeUnknownError("x"), True, 6),
        (errors.ServerError("x"), True, 6),
        (errors.ServerError("x"), False, 1),
        (errors.RateLimitError("x"), True, 1),
        (errors.StreamInterruptedError("x"), False, 3),
        (errors.StorageError("x"), True, 1),
    ],
)
def test_an_error_has_its_exit_code(error: errors.AIGCError, paid: bool, code: int) -> None:
    assert _failures.code_of(error, paid=paid) == code


def test_an_image_in_the_error_is_paid() -> None:
    error = errors.StorageError("full")
    error.result = object()
    assert _failures.code_of(error) == 6


def test_columns_are_as_wide_as_chinese_is() -> None:
    text = _terminal.table(("名字", "x"), [("a", "b"), ("橘猫咪", "c")])
    assert text.splitlines() == ["名字    x", "a       b", "橘猫咪  c"]


def test_an_option_is_json_where_it_is() -> None:
    found = _terminal.pairs(["a=1", "b=true", "c=text", 'd={"e": 2}', "f=", "g=a=b"])
    assert found == {"a": 1, "b": True, "c": "text", "d": {"e": 2}, "f": "", "g": "a=b"}
    with pytest.raises(click.UsageError):
        _terminal.pairs(["a"])
    with pytest.raises(click.UsageError, match="use --size"):
        _terminal.pairs(["size=2K"])


@pytest.mark.parametrize(
    ("name", "kind", "url"),
    [
        ("oss://pictures", "OSSStorage", "https://pictures.oss-cn-hangzhou.aliyuncs.com/k"),
        ("oss", "OSSStorage", "https://from-variable.oss-cn-hangzhou.aliyuncs.com/k"),
        ("memory://dir", "FsspecStorage", "https://assets.example.com/k"),
    ],
)
def test_a_store_has_its_name(
    name: str, kind: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in {
        "OSS_ACCESS_KEY_ID": "k",
        "OSS_ACCESS_KEY_SECRET": "s",
        "OSS_REGION": "cn-hangzhou",
        "OSS_BUCKET": "from-variable",
    }.items():
        monkeypatch.setenv(variable, value)
    public = "assets.example.com" if "memory" in name else None
    store = _stores.store_of(name, public=public)
    assert type(store).__name__ == kind
    assert store.url_of("k").partition("?")[0] == url
