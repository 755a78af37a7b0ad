"""
The documents: their code runs as written, both languages show the same code, examples and docs are
true.
"""

from __future__ import annotations

import base64
import importlib.metadata
import io
import json
import re
import runpy
import subprocess
import sys
import tokenize
import tomllib
import types
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import pytest
import respx
from google.oauth2.credentials import Credentials

import aigc_kit
from aigc_kit import ChatClient, ImageClient, ImageProvider, errors
from aigc_kit.registry import Registry
from aigc_kit.sandbox import Sandbox
from aigc_kit.storage import LocalStorage, R2Storage
from tests.images import make
from tests.storage.test_s3 import admin

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def blocks(name: str, language: str = "") -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.findall(rf"```{language or '[a-z]*'}\n(.*?)```", text, re.DOTALL)


def block(name: str, marker: str) -> str:
    """The first Python block with this text in it."""
    return next(each for each in blocks(name, "python") if marker in each)


def without_comments(code: str) -> list[str]:
    """
    The tokens of Python code, or the lines of a file for a shell, without comments and blank lines.
    """
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(code).readline))
    except (tokenize.TokenError, IndentationError):
        return [line for line in code.splitlines() if line.strip() and not line.startswith("#")]
    return [token.string for token in tokens if token.type not in (tokenize.COMMENT, tokenize.NL)]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, s3_server: str) -> Sandbox:
    """The documents' code, unchanged except for where vendors and storage are."""
    s3 = admin(s3_server)
    s3.create_bucket(Bucket="my-bucket")
    s3.close()
    monkeypatch.setattr("aigc_kit.storage.r2.settings.option", _pointing_to(s3_server))
    monkeypatch.setenv("GOOGLE_VERTEX_BASE_URL", sandbox.url)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "your-project")
    monkeypatch.setenv("VOLCENGINE_BASE_URL", sandbox.ark_url)
    monkeypatch.setenv("VOLCENGINE_API_KEY", sandbox.api_key)
    monkeypatch.setattr(
        "google.auth.default", lambda scopes: (Credentials(token=sandbox.api_key), None)
    )
    return sandbox


def _pointing_to(server: str) -> Any:
    from aigc_kit.settings import option

    def pointed(explicit: str | None, *names: str, default: str = "") -> str:
        found = option(explicit, *names, default=default)
        return server if found == "https://xxx.r2.cloudflarestorage.com" else found

    return pointed


@pytest.mark.filterwarnings("ignore:.*was not closed:ResourceWarning")  # short blocks close nothing
@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
@pytest.mark.parametrize("vendor", ["gemini", "volcengine"])
def test_the_image_blocks_run_as_written(world: Sandbox, name: str, vendor: str) -> None:
    """Quick start, text to image, image to image, with either vendor's name."""
    start, text, image = (
        block(name, "R2Storage("),
        block(name, "neon"),
        block(name, "reference_images=["),
    )
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
        router.get("https://assets.example.com/avatar.png").mock(
            httpx.Response(200, content=make())
        )
        router.route(host="127.0.0.1").pass_through()
        exec(image, names)
    check(names["result"].url, vendor, world)
    names["client"].close()
    names["storage"].close()


def check(url: str, vendor: str, world: Sandbox) -> None:
    base = (
        "https://assets.example.com/aigc/images/"
        if vendor == "gemini"
        else f"{world.url}/ark-content/"
    )
    assert url.startswith(base)


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_first_block_runs_as_written(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It needs no more than the two keys, and stands within the first screen."""
    text = (ROOT / name).read_text(encoding="utf-8")
    assert text[: text.index("```python")].count("\n") < 10
    with Sandbox(api_key="") as sandbox:
        monkeypatch.setenv("VOLCENGINE_BASE_URL", sandbox.ark_url)
        monkeypatch.setenv("VOLCENGINE_API_KEY", "k")
        monkeypatch.setenv("DEEPSEEK_BASE_URL", sandbox.chat_options("deepseek")["base_url"])
        monkeypatch.setenv("DEEPSEEK_API_KEY", "k")
        exec(blocks(name, "python")[0], {})
        url, answer = capsys.readouterr().out.splitlines()
    assert url.startswith(f"{sandbox.url}/ark-content/")
    assert answer == "You said: Name this cat"


@pytest.mark.filterwarnings("ignore:.*was not closed:ResourceWarning")
@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_chat_blocks_run_as_written(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quick start, streaming, structured output, tools, vendor parameters."""
    with Sandbox(api_key="") as sandbox:
        monkeypatch.setenv("DEEPSEEK_BASE_URL", sandbox.chat_options("deepseek")["base_url"])
        monkeypatch.setenv("GOOGLE_VERTEX_BASE_URL", sandbox.url)
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "your-project")
        monkeypatch.setattr("google.auth.default", lambda scopes: (Credentials(token="t"), None))
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", sandbox.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
        names: dict[str, Any] = {}
        start, *others = chat_blocks(name)
        exec(start, names)
        assert names["client"].provider.name == "bedrock"
        assert names["result"].content == "You said: Hello"
        deepseek = re.search(
            r"client = ChatClient\(\n    provider=\"deepseek\".*?\n\)\n", start, re.DOTALL
        )
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
    return re.findall(r"```python\n(.*?)```", text[text.index("## Chat Completions") :], re.DOTALL)[
        :5
    ]


def test_the_result_block_is_the_class() -> None:
    """
    Fields, order and defaults, with the mutable default that a document may show and Python may
    not.
    """
    code = block("README.md", "class ImageResult").replace(
        "metadata: dict = {}", "metadata: dict = None"
    )
    names: dict[str, Any] = {"dataclass": dataclass}
    exec(code, names)
    shown = names["ImageResult"].__dataclass_fields__
    real = aigc_kit.ImageResult.__dataclass_fields__
    assert list(shown) == list(real)
    assert all(shown[name].default == "" == real[name].default for name in list(shown)[:4])


def test_the_provider_block_is_enough() -> None:
    """A subclass as in the document can be used."""
    names: dict[str, Any] = {"ImageProvider": ImageProvider}
    exec(block("README.md", "class MyProvider"), names)
    with ImageClient(names["MyProvider"]()) as client:
        assert client.provider.name == "my_provider"


def test_both_languages_show_the_same_code() -> None:
    """Block for block, without the comments, which are in the language of the page."""
    english, chinese = blocks("README.md"), blocks("README.zh-CN.md")
    assert [without_comments(each) for each in english] == [
        without_comments(each) for each in chinese
    ]
    assert not re.search(r"[\u4e00-\u9fff]", "".join(english))


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


def test_the_docs_examples_are_true(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``docs/testing.md`` runs as written; so does the first block of ``docs/storage.md``."""
    monkeypatch.chdir(tmp_path)
    exec(blocks("docs/testing.md", "python")[0], {})
    exec(blocks("docs/storage.md", "python")[0], {})
    (stored,) = tmp_path.rglob("orange.png")
    assert stored.read_bytes() == b"..."


@pytest.mark.filterwarnings("ignore:.*was not closed:ResourceWarning")  # short blocks close nothing
def test_the_blocks_about_images_run(
    world: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Partial images, renditions, and several vendors in a row."""
    with LocalStorage(tmp_path) as storage:
        names: dict[str, Any] = {"ImageClient": ImageClient, "storage": storage}
        watched, renditions, in_a_row = blocks("docs/images.md", "python")
        monkeypatch.setenv("OPENAI_BASE_URL", world.image_options("openai")["base_url"])
        monkeypatch.setenv("OPENAI_API_KEY", world.api_key)
        exec(watched, names)
        assert capsys.readouterr().out == "0 1024\n1 1024\nNone 1024\n"
        names["client"].close()
        exec(renditions, names)
        assert set(names["result"].metadata["renditions"]) == {"full", "large", "thumb"}
        names["client"].close()
        exec(in_a_row, names)
        assert names["result"].provider == "gemini"
        names["client"].close()


def test_the_blocks_about_chat_run(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relay, a fallback, a function as a tool, and the streamed tool loop."""
    relay, fallback = blocks("docs/chat.md", "python")
    tools, streamed = blocks("docs/tools.md", "python")
    names: dict[str, Any] = {"ChatClient": ChatClient}
    exec(relay, names)
    names["relay"].close()
    for vendor in ("deepseek", "dashscope"):
        options = sandbox.chat_options(vendor)
        monkeypatch.setenv(f"{vendor.upper()}_BASE_URL", options["base_url"])
        monkeypatch.setenv(f"{vendor.upper()}_API_KEY", options["api_key"])
    names["messages"] = [{"role": "user", "content": "hello"}]
    exec(fallback, names)  # the key of the page is wrong here, so the second vendor answers
    names["chat"].close()
    assert names["result"].provider == "dashscope"
    with ChatClient("deepseek", **sandbox.chat_options("deepseek")) as names["client"]:
        exec(tools, names)
        assert names["result"].content
        exec(streamed, names)
    assert "total_tokens" in capsys.readouterr().out


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md", "docs/embeddings.md"])
def test_the_blocks_about_embeddings_run(
    page: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every block with the client in it, as written."""
    with Sandbox() as sandbox:
        for name in ("openai", "dashscope"):
            options = sandbox.embedding_options(name)
            monkeypatch.setenv(f"{name.upper()}_BASE_URL", options["base_url"])
            monkeypatch.setenv(f"{name.upper()}_API_KEY", options["api_key"])
        found = [block for block in blocks(page, "python") if "EmbeddingClient(" in block]
        assert found
        for block in found:
            exec(block, {})
    assert "cats" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("page", "yes"), [("docs/images.md", "yes"), ("docs/images.zh-CN.md", "是")]
)
def test_the_size_table_of_the_docs_is_the_code(page: str, yes: str) -> None:
    """Limits, tiers, references and groups of every family."""
    from aigc_kit.image.sizes import FAMILIES

    text = (ROOT / page).read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([345]\.\S+.*?) \|(.*)\|$", text, re.MULTILINE)
    shown = {name: cells.split("|") for names, cells in rows for name in names.split(", ")}
    assert set(shown) == set(FAMILIES) - {"seededit-3.0"}
    for name, (pixels, _, tiers, references, groups) in shown.items():
        family = FAMILIES[name]
        if name != "3.0":
            assert pixels.strip() == f"{family.min_pixels:,} .. {family.max_pixels:,}"
        assert tiers.split() == (list(family.tiers) or ["–"])
        assert int(references) == family.references
        assert (groups.strip() == yes) is family.group


def test_every_provider_is_on_its_page() -> None:
    """The tables of ``docs/providers.md`` are the registries and the rows of the code."""
    page = (ROOT / "docs/providers.md").read_text(encoding="utf-8").splitlines()
    missing = [row for row in [*provider_rows(), *embedding_rows()] if row not in page]
    assert not missing, "docs/providers.md lacks:\n" + "\n".join(missing)


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_tables_name_every_provider(name: str) -> None:
    """
    The image table names the providers, the chat table their aliases too; back ends without a line
    of their own are named below it.
    """
    text = (ROOT / name).read_text(encoding="utf-8")
    images, chat = (
        re.findall(r"^\| ([a-z_]+(?: / [a-z_]+)*) (?:\(.*?\) )?\|.*✅", part, re.MULTILINE)
        for part in text.split("## Chat Comp")
    )
    _, _, part = text.partition("## Embeddings")
    table = re.findall(r"^\| ([a-z_]+(?: / [a-z_]+)*) \|", part, re.MULTILINE)
    assert {first: set(others) for first, *others in (each.split(" / ") for each in table)} == {
        first: set(others) for first, others in aliases_of("aigc_kit.embedding.client").items()
    }
    assert set(images) == set(aliases_of("aigc_kit.image.client"))
    shown = {first: set(others) for first, *others in (row.split(" / ") for row in chat)}
    known = {first: set(others) for first, others in aliases_of("aigc_kit.chat.client").items()}
    assert shown == {first: known[first] for first in shown}
    _, _, below = text.partition("| bedrock | Amazon Bedrock (Converse API) |")
    named = set(re.findall(r"`([a-z_]+)`", below.split("\n\n")[1]))
    assert named == set(known) - set(shown)


RATIOS = (
    ("import", ("import",)),
    ("call", ("call-openai", "call-gemini", "call-bedrock")),
    ("stream", ("stream-openai", "stream-gemini", "stream-bedrock")),
    ("image", ("picture-gemini",)),
)
"""
Rows of the READMEs' last table about peers, in order, and their cases in
``benchmarks/results.json``.
"""


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_ratios_are_the_measured_ones(name: str) -> None:
    """Within a tenth or 0.02: the figures vary as much from run to run."""
    rounds = json.loads((ROOT / "benchmarks/results.json").read_text())["rounds"]
    text = (ROOT / name).read_text(encoding="utf-8")
    lines = text[text.index("benchmarks/RESULTS.md") :].split("|---|---|---|---|\n")[1].splitlines()
    for (label, cases), line in zip(RATIOS, lines, strict=False):
        for peer, cell in zip(("raw SDK", "LiteLLM", "any-llm"), line.split("|")[2:5], strict=True):
            measured = [ratio(rounds[case], peer) for case in cases if peer in rounds[case]]
            shown = [float(number) for number in re.findall(r"\d\.\d+", cell)]
            assert shown == pytest.approx(measured, rel=0.1, abs=0.02), (label, peer, measured)


def ratio(rounds: dict[str, list[Any]], peer: str) -> float:
    """The median of the ratios of each round, as in ``benchmarks/RESULTS.md``."""
    pairs = zip(rounds["aigc-kit"], rounds[peer], strict=True)
    return round(
        median(ours["cpu"] / theirs["cpu"] for ours, theirs in pairs if ours and theirs), 3
    )


def provider_rows() -> list[str]:
    from aigc_kit.chat import bedrock, gemini
    from aigc_kit.chat.vendors import VENDORS
    from aigc_kit.image.bfl import models as bfl_images
    from aigc_kit.image.dashscope import models as dashscope_images
    from aigc_kit.image.gemini import provider as gemini_images
    from aigc_kit.image.openai.vendors import VENDORS as IMAGE_VENDORS
    from aigc_kit.image.volcengine import provider as volcengine
    from aigc_kit.vendors import prefixes_of

    images, chat = aliases_of("aigc_kit.image.client"), aliases_of("aigc_kit.chat.client")
    compat = dict(VENDORS)
    google = (
        "`GOOGLE_API_KEY` or `GEMINI_API_KEY`; or Google Cloud credentials",
        "`GOOGLE_CLOUD_PROJECT`, `GOOGLE_CLOUD_LOCATION`, `GOOGLE_GENAI_USE_VERTEXAI`",
    )
    rows = [
        row(
            "volcengine",
            code(images.pop("volcengine")),
            "`VOLCENGINE_API_KEY` or `ARK_API_KEY`",
            "`VOLCENGINE_BASE_URL`, `VOLCENGINE_IMAGE_MODEL`, `VOLCENGINE_TIMEOUT_SECS`",
            code([volcengine.MODEL]),
        ),
        row(
            "gemini",
            code(images.pop("gemini")),
            google[0],
            f"{google[1]}, `GEMINI_IMAGE_MODEL`, `GEMINI_TIMEOUT_SECS`",
            code([gemini_images.MODEL]),
        ),
        row(
            "dashscope",
            code(images.pop("dashscope")),
            "`DASHSCOPE_API_KEY`",
            "`DASHSCOPE_BASE_URL`, `DASHSCOPE_IMAGE_MODEL`, `DASHSCOPE_TIMEOUT_SECS`",
            code([dashscope_images.DEFAULT]),
        ),
        row(
            "bfl",
            code(images.pop("bfl")),
            "`BFL_API_KEY`",
            "`BFL_BASE_URL`, `BFL_IMAGE_MODEL`, `BFL_TIMEOUT_SECS`",
            code([bfl_images.DEFAULT]),
        ),
        row("gemini", code(chat.pop("gemini")), *google, code([gemini.provider.MODEL])),
        row(
            "bedrock",
            code(chat.pop("bedrock")),
            "`AWS_BEARER_TOKEN_BEDROCK`; or the AWS credential chain",
            "by region",
            code([bedrock.provider.MODEL]),
        ),
    ]
    for name, row_of_images in IMAGE_VENDORS.items():
        prefixes = prefixes_of(row_of_images)
        variables = [
            *row_of_images.base_url_variables,
            *(f"{prefix}_IMAGE_MODEL" for prefix in prefixes[:1]),
            *(f"{prefix}_TIMEOUT_SECS" for prefix in prefixes[:1]),
        ]
        rows.append(
            row(
                name,
                code(images.pop(name)),
                code(row_of_images.variables, " or "),
                code(variables),
                code([row_of_images.model]),
            )
        )
    assert not images, f"tell provider_rows of {images}"
    assert set(chat) == set(compat)
    for name, vendor in compat.items():
        base_url = f"{code(vendor.base_url_variables)}, then `{vendor.base_url}`"
        rows.append(
            row(
                name,
                code(chat[name]),
                code(vendor.variables, " or "),
                base_url if vendor.base_url else code(vendor.base_url_variables),
                code([vendor.model]),
            )
        )
        if vendor.international:
            rows.append(row(name, code([vendor.international])))
        rows.append(row(name, *abilities(vendor)))
    return rows


def embedding_rows() -> list[str]:
    from aigc_kit.embedding import bedrock, gemini
    from aigc_kit.embedding.rows import ROWS
    from aigc_kit.vendors import ACCOUNTS

    aliases = aliases_of("aigc_kit.embedding.client")
    rows = [
        row(
            name,
            code(aliases.pop(name)),
            code(ACCOUNTS[name].variables, " or "),
            code([facts.model]),
            code([facts.rerank_model]),
        )
        for name, facts in ROWS.items()
    ]
    google = "`GOOGLE_API_KEY` or `GEMINI_API_KEY`; or Google Cloud credentials"
    rows.append(row("gemini", code(aliases.pop("gemini")), google, code([gemini.MODEL]), "–"))
    amazon = "`AWS_BEARER_TOKEN_BEDROCK`; or the AWS credential chain"
    models = (code([bedrock.MODEL]), code([bedrock.RERANK_MODEL]))
    rows.append(row("bedrock", code(aliases.pop("bedrock")), amazon, *models))
    assert not aliases, f"tell embedding_rows of {aliases}"
    return rows


def aliases_of(client: str) -> dict[str, list[str]]:
    """Every registered name of this package with its aliases."""
    from aigc_kit.vendors import ALIASES

    code = (
        f"import json, {client} as client\nclient._ensure_registered()\n"
        "print(json.dumps(dict(sorted(client.registry.items()))))"
    )
    homes = json.loads(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
    )
    firsts = {
        "doubao": "volcengine",
        "seedream": "volcengine",
        "ark": "volcengine",
        "google": "gemini",
        "wan": "dashscope",
        "flux": "bfl",
        **ALIASES,
    }
    found: dict[str, list[str]] = {name: [] for name in homes if name not in firsts}
    for alias in homes:
        if alias in firsts:
            found[firsts[alias]].append(alias)
    return found


def abilities(vendor: Any) -> list[str]:
    schema = {"": "no: `json_object` and the prompt", ".*": "yes"}.get(
        vendor.json_schema, "by model"
    )
    forced = {
        "passed": "yes",
        "auto only": "sent as `auto`",
        "auto or none": "sent as `auto`",
        "not while thinking": "ends thinking",
    }[vendor.forced_choice]
    if vendor.no_forced_choice:
        forced = "by model"
    images = "sent as URLs" if vendor.image_addresses else "fetched and sent as bytes"
    refused = [name for _, names in vendor.refused for name in names]
    return [schema, forced, images, code(refused)]


def code(names: Iterable[str], between: str = ", ") -> str:
    return between.join(f"`{name}`" for name in names if name) or "–"


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def test_a_provider_of_another_package(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page's provider works by its entry point, by ``register_provider`` and as an instance."""
    first, second, chat = blocks("docs/adding-a-provider.md", "python")
    acme = types.ModuleType("acme_images")
    exec(first, acme.__dict__)
    monkeypatch.setitem(sys.modules, "acme_images", acme)
    monkeypatch.setattr(
        "aigc_kit.image.client.registry", Registry("image provider", "aigc_kit.image_providers")
    )
    (group, points), *_ = tomllib.loads(blocks("docs/adding-a-provider.md", "toml")[0])["project"][
        "entry-points"
    ].items()
    published = [
        importlib.metadata.EntryPoint(name, value, group) for name, value in points.items()
    ]
    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda group: [p for p in published if p.group == group]
    )
    sandbox.answer(200, {"image": base64.b64encode(make()).decode()}, path="/images", times=3)
    options = {"api_key": "k", "base_url": sandbox.url}
    storage = LocalStorage(tmp_path)
    with ImageClient("acme", storage=storage, **options) as client:
        assert client.text_to_image("a cat").url.startswith("file://")
    exec(second, {})
    with ImageClient("acme-images", **options) as client:
        assert client.text_to_image("a cat").data == make()
    provider = acme.AcmeProvider(**options)
    with ImageClient(provider) as client:
        assert client.text_to_image("a cat").mime_type == "image/png"
        sandbox.answer(503, {}, path="/images")
        with pytest.raises(errors.ProviderError) as caught:
            client.text_to_image("a cat")
        assert caught.value.billed == "unknown"
    provider.close()
    storage.close()
    names: dict[str, Any] = {}
    try:
        exec(chat, names)
        assert names["client"].provider.model == "acme-1"
        names["client"].close()
    finally:
        names["compat_providers"].discard("acme")


def test_links_between_documents_lead_somewhere() -> None:
    """Relative links of every page, and the headings that they name."""
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            if "://" in link:
                continue
            target, _, anchor = link.partition("#")
            found = page.parent / target if target else page
            assert found.exists(), (page.name, link)
            if anchor:
                assert anchor in anchors(found), (page.name, link)


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
