"""The documents: their code runs as it stands, both languages show the same, examples and docs are true."""

from __future__ import annotations

import re
import runpy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from google.oauth2.credentials import Credentials

import aigc_kit
from aigc_kit import ImageClient, ImageProvider
from aigc_kit.sandbox import Sandbox
from aigc_kit.storage import R2Storage
from tests.pictures import make
from tests.storage.test_s3 import admin

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def blocks(name: str, language: str = "") -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.findall(rf"```{language or '[a-z]*'}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, s3_server: str) -> Sandbox:
    """The documents' own words, with nothing changed but where vendors and storage are."""
    s3 = admin(s3_server)
    s3.create_bucket(Bucket="my-bucket")
    s3.close()
    monkeypatch.setattr("aigc_kit.storage.r2.settings.option", _pointing_to(s3_server))
    monkeypatch.setenv("GOOGLE_VERTEX_BASE_URL", sandbox.url)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "your-project")
    monkeypatch.setenv("VOLCENGINE_BASE_URL", sandbox.ark_url)
    monkeypatch.setenv("VOLCENGINE_API_KEY", sandbox.api_key)
    monkeypatch.setattr("google.auth.default", lambda scopes: (Credentials(token=sandbox.api_key), None))
    return sandbox


def _pointing_to(server: str) -> Any:
    from aigc_kit.settings import option

    def pointed(explicit: str | None, *names: str, default: str = "") -> str:
        found = option(explicit, *names, default=default)
        return server if found == "https://xxx.r2.cloudflarestorage.com" else found

    return pointed


@pytest.mark.filterwarnings("ignore:.*was not closed:ResourceWarning")  # the documents' short blocks close nothing
@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
@pytest.mark.parametrize("vendor", ["gemini", "volcengine"])
def test_the_image_blocks_run_as_they_stand(world: Sandbox, name: str, vendor: str) -> None:
    """Quick start, text to image, image to image, with either vendor's name."""
    start, text, image = blocks(name, "python")[:3]
    start = start.replace('provider="gemini"', f'provider="{vendor}"')
    if vendor == "volcengine":
        start = start.replace("gemini-3-pro-image", "doubao-seedream-4-5-251128")
    names: dict[str, Any] = {}
    exec(start, names)
    assert isinstance(names["storage"], R2Storage)
    assert isinstance(names["client"], ImageClient)
    check(names["result"].url, vendor, world)
    exec(text, names)
    assert names["result"].provider == vendor
    assert (names["result"].width, names["result"].height) == (2048, 2048)
    with respx.mock(assert_all_called=False) as router:
        router.get("https://assets.example.com/avatar.png").mock(httpx.Response(200, content=make()))
        router.route(host="127.0.0.1").pass_through()
        exec(image, names)
    check(names["result"].url, vendor, world)
    names["client"].close()
    names["storage"].close()


def check(url: str, vendor: str, world: Sandbox) -> None:
    base = "https://assets.example.com/aigc/images/" if vendor == "gemini" else f"{world.url}/ark-content/"
    assert url.startswith(base)


@pytest.mark.filterwarnings("ignore:.*was not closed:ResourceWarning")
@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_chat_blocks_run_as_they_stand(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quick start, streaming, structured output, tools, vendor parameters."""
    with Sandbox(api_key="") as sandbox:
        monkeypatch.setenv("DEEPSEEK_BASE_URL", sandbox.chat_options("deepseek")["base_url"])
        monkeypatch.setenv("GOOGLE_VERTEX_BASE_URL", sandbox.url)
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "your-project")
        monkeypatch.setattr("google.auth.default", lambda scopes: (Credentials(token="t"), None))
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", sandbox.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
        names: dict[str, Any] = {"messages": [{"role": "user", "content": "你好"}]}
        start, *others = chat_blocks(name)
        exec(start, names)
        assert names["client"].provider.name == "bedrock"
        assert names["result"].content == "You said: 你好"
        deepseek = re.search(r"client = ChatClient\(\n    provider=\"deepseek\".*?\n\)\n", start, re.DOTALL)
        assert deepseek
        names["client"].close()
        exec("from aigc_kit import ChatClient\n" + deepseek[0], names)
        for block in others:
            exec(block, names)
        assert names["result"].content
        assert sandbox.requests[-1].body["thinking"] == {"type": "enabled"}
        names["client"].close()


def chat_blocks(name: str) -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text[text.index("## Chat Completions") :], re.DOTALL)


def test_the_result_block_is_the_class() -> None:
    """Fields, order and defaults, with the mutable default that a document may show and Python may not."""
    block = blocks("README.md", "python")[3].replace("metadata: dict = {}", "metadata: dict = None")
    names: dict[str, Any] = {"dataclass": dataclass}
    exec(block, names)
    shown = names["ImageResult"].__dataclass_fields__
    real = aigc_kit.ImageResult.__dataclass_fields__
    assert list(shown) == list(real)
    assert all(shown[name].default == "" == real[name].default for name in list(shown)[:4])


def test_the_provider_block_is_enough() -> None:
    """A subclass written like the document's can be used."""
    names: dict[str, Any] = {"ImageProvider": ImageProvider}
    exec(blocks("README.md", "python")[4], names)
    with ImageClient(names["MyProvider"]()) as client:
        assert client.provider.name == "my_provider"


def test_both_languages_show_the_same_code() -> None:
    """Block for block."""
    assert blocks("README.md") == blocks("README.zh-CN.md")


def test_every_variable_is_in_the_example_file() -> None:
    """What the README names, ``.env.example`` has."""
    example = (ROOT / ".env.example").read_text()
    for block in blocks("README.md", "env"):
        for line in block.strip().splitlines():
            assert re.search(rf"^(# )?{line.split('=')[0]}=", example, re.MULTILINE), line


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_run(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each against the sandbox, in an empty directory, and short enough to read at a glance."""
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out
    assert len(path.read_text().splitlines()) <= 40


def test_the_docs_examples_are_true(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``docs/testing.md`` runs as it stands; so does the first block of ``docs/storage.md``."""
    monkeypatch.chdir(tmp_path)
    exec(blocks("docs/testing.md", "python")[0], {})
    exec(blocks("docs/storage.md", "python")[0], {})
    assert (tmp_path / "pictures/cats/orange.png").read_bytes() == b"..."


def test_the_size_table_of_the_docs_is_the_code() -> None:
    """Limits, tiers, references and groups of every family."""
    from aigc_kit.image.sizes import FAMILIES

    rows = re.findall(r"^\| ([345]\.\S+.*?) \|(.*)\|$", (ROOT / "docs/images.md").read_text(), re.MULTILINE)
    shown = {name: cells.split("|") for names, cells in rows for name in names.split(", ")}
    assert set(shown) == set(FAMILIES) - {"seededit-3.0"}
    for name, (pixels, _, tiers, references, groups) in shown.items():
        family = FAMILIES[name]
        if name != "3.0":
            assert pixels.strip() == f"{family.min_pixels:,} .. {family.max_pixels:,}"
        assert tiers.split() == (list(family.tiers) or ["–"])
        assert int(references) == family.references
        assert (groups.strip() == "yes") is family.group


def test_links_between_documents_lead_somewhere() -> None:
    """Relative links of every page."""
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), (page.name, target)
