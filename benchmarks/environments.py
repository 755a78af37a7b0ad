"""An environment for each library that is compared, all as of the day in ``pyproject.toml``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = HERE / ".envs"
_PROJECT = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))
DAY: str = _PROJECT["tool"]["uv"]["exclude-newer"]

_VERSIONS = """
import json, sys
from importlib import metadata
print(json.dumps({name: metadata.version(name) for name in sys.argv[1:]}))
"""


@dataclass(frozen=True)
class Subject:
    """
    ``requirements``: none means the project's own environment. ``statement`` imports what a user
    imports.
    """

    name: str
    module: str
    statement: str
    packages: tuple[str, ...]
    requirements: tuple[str, ...] = ()

    @property
    def is_peer(self) -> bool:
        return bool(self.requirements)

    def python(self) -> str:
        return python(self.name, self.requirements) if self.requirements else sys.executable

    def versions(self) -> dict[str, str]:
        done = subprocess.run(
            [self.python(), "-c", _VERSIONS, *self.packages],
            capture_output=True,
            text=True,
            check=True,
        )
        found: dict[str, str] = json.loads(done.stdout)
        return found


OURS = Subject("aigc-kit", "ours", "import aigc_kit", ("aigc-kit",))
RAW = Subject(
    "raw SDK", "raw", "import openai", ("openai", "google-genai", "boto3", "httpx2", "pydantic")
)
PEERS = (
    Subject("LiteLLM", "litellm", "import litellm", ("litellm",), ("litellm", "boto3")),
    Subject(
        "any-llm",
        "anyllm",
        "import any_llm",
        ("any-llm-sdk",),
        ("any-llm-sdk[openai,gemini,bedrock]",),
    ),
    Subject("aisuite", "aisuite", "import aisuite", ("aisuite",), ("aisuite[openai,mcp]",)),
    Subject(
        "LangChain",
        "langchain",
        "import langchain_openai",
        ("langchain-openai", "langchain-google-genai", "langchain-aws"),
        ("langchain-openai", "langchain-google-genai", "langchain-aws"),
    ),
    Subject(
        "pydantic-ai",
        "pydanticai",
        "import pydantic_ai",
        ("pydantic-ai-slim",),
        ("pydantic-ai-slim[openai,google,bedrock]",),
    ),
)


class EnvironmentFailed(Exception):
    """It could not be made; the message is the installer's last line."""


def harness() -> str:
    """The Python of the upstream and the plots."""
    return python("harness", ("uvloop", "matplotlib", "cryptography"))


def python(name: str, requirements: tuple[str, ...]) -> str:
    """
    The Python of an environment, made at first use and again when its requirements or the day
    change.

    Raises:
        EnvironmentFailed: it could not be made.
    """
    folder = FOLDER / name
    interpreter, stamp = folder / "bin" / "python", folder / "made-of.json"
    made_of = json.dumps([sys.version, DAY, *requirements])
    if not (stamp.exists() and stamp.read_text(encoding="utf-8") == made_of):
        print(f"making the environment of {name} ...", file=sys.stderr)
        _uv("venv", "--clear", "--python", sys.executable, str(folder))
        _uv(
            "pip",
            "install",
            "--compile-bytecode",
            "--exclude-newer",
            DAY,
            "--python",
            str(interpreter),
            *requirements,
        )
        stamp.write_text(made_of, encoding="utf-8")
    return str(interpreter)


def _uv(*arguments: str) -> None:
    done = subprocess.run(
        [os.environ.get("UV", "uv"), "--quiet", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise EnvironmentFailed((done.stderr.strip().splitlines() or ["uv failed"])[-1])
