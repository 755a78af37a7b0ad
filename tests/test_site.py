"""The documentation: its site is built without a warning, and every block of code runs."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
import types
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from aigc_kit import ChatClient, ImageClient
from aigc_kit.sandbox import Sandbox
from aigc_kit.storage import LocalStorage
from tests.images import make

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
ELSEWHERE = {
    # Pages whose blocks are parts of one another; tests of their own run them.
    "adding-a-provider",
    "batches",
    "chat",
    "embeddings",
    "images",
    "tools",
}


def blocks(page: str, language: str = "python") -> list[str]:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


PAGES = sorted(path.stem for path in DOCS.glob("*.md") if ".zh-CN" not in path.name)
RUN = [(page, at) for page in PAGES if page not in ELSEWHERE for at in range(len(blocks(page)))]


@pytest.fixture(scope="module")
def builder() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("site_build", DOCS / "site" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, str(DOCS / "site" / "build.py"), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return target


class Links(HTMLParser):
    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.append(value)
            if name == "id" and value:
                self.ids.add(value)


def test_every_link_of_the_site_leads_somewhere_and_none_leaves_it(site: Path) -> None:
    pages = {page: Links(page) for page in site.rglob("*.html")}
    broken = []
    for page, found in pages.items():
        for link in found.links:
            parts = urlsplit(link)
            if parts.scheme in ("data", "mailto") or page.name in ("genindex.html", "search.html"):
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            anchored = not parts.fragment or target.suffix != ".html"
            known = pages.get(target)
            if parts.scheme in ("http", "https"):
                if any(tag in link for tag in ("fonts.g", "cdn", "unpkg", "jsdelivr")):
                    broken.append((page.name, link))
            elif not target.exists() or not (
                anchored or (known is not None and unquote(parts.fragment) in known.ids)
            ):
                broken.append((str(page.relative_to(site)), link))
    assert broken == []


def test_both_languages_have_every_page(site: Path) -> None:
    english = {path.name for path in (site / "en").glob("*.html")}
    assert english == {path.name for path in (site / "zh").glob("*.html")}
    assert 'lang="zh' in (site / "zh" / "storage.html").read_text(encoding="utf-8")


def test_every_page_is_in_the_table_of_contents(builder: types.ModuleType) -> None:
    assert set(builder.pages()) == set(PAGES)


def test_chinese_can_be_searched(site: Path) -> None:
    index = (site / "zh" / "searchindex.js").read_text(encoding="utf-8")
    for pair in ("存储", "费用", "蒙版"):
        assert json.dumps(pair) in index


def test_llms_txt_names_every_guide(site: Path) -> None:
    text = (site / "llms.txt").read_text(encoding="utf-8")
    assert text.startswith("# aigc-kit\n\n> ")
    for link in re.findall(r"\]\((en/[^)]+)\)", text):
        assert (site / link).is_file()
    assert re.search(r"- \[Storage\]\(en/storage.html\): .+", text)
    told = re.findall(r"^- \[[^]]+\]\([^)]+\): (.*)$", text, re.MULTILINE)
    assert len(told) == len(PAGES) - 1
    assert [line for line in told if "```" in line or "import " in line or len(line) < 10] == []
    full = (site / "llms-full.txt").read_text(encoding="utf-8")
    for page in PAGES:
        title = (DOCS / f"{page}.md").read_text(encoding="utf-8").partition("\n")[0]
        assert title in full


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        ("付过钱的图片\n一定在结果里，\n或异常里", "付过钱的图片一定在结果里，或异常里"),
        ("见\n[存储](storage.md)。\n- 一项\n- 又一项", "见[存储](storage.md)。\n- 一项\n- 又一项"),
        ("标题\n\n段落\nPython 与\n图片", "标题\n\n段落\nPython 与图片"),
        ("说明：\n\n```python\n# 注释\nx = 1  # 图\ny = 2\n```\n", None),
        ("| 甲 | 乙 |\n|---|---|\n| 图 | 一 |", None),
        ("> 引用，\n> 第二行", None),
        ("步骤：\n1. 图\n2. 存\n\n* 点\n* 点", None),
    ],
)
def test_a_break_in_chinese_text_is_no_space(
    builder: types.ModuleType, lines: str, shown: str | None
) -> None:
    assert builder.joined(lines) == (lines if shown is None else shown)


@pytest.mark.parametrize("page", ["faults", "reference", "providers"])
def test_what_is_measured_or_listed_is_the_same_in_chinese(
    builder: types.ModuleType, page: str
) -> None:
    english, chinese = (builder.text_of(page, language) for language in ("en", "zh"))
    for begin in ("|", ".. auto"):
        rows = [line for line in english.splitlines() if line.startswith(begin)]
        assert rows == [line for line in chinese.splitlines() if line.startswith(begin)]
    assert "<!--" not in chinese


def test_a_translated_page_has_the_same_code() -> None:
    """Except that a Chinese page asks for Chinese texts."""
    for path in DOCS.glob("*.zh-CN.md"):
        page = path.name.removesuffix(".zh-CN.md")
        english = [without_comments(block) for block in blocks(page)]
        for block in blocks(f"{page}.zh-CN"):
            code = without_comments(block).replace('("zh")', '("en")')
            assert code in english, (path.name, block)


def without_comments(code: str) -> str:
    return "\n".join(re.sub(r"\s*#.*", "", line) for line in code.splitlines() if line.strip())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cat.png").write_bytes(make("PNG"))
    with Sandbox() as box, box.environment():
        monkeypatch.setenv("OSS_ACCESS_KEY_ID", "k")
        monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", "s")
        yield tmp_path


@pytest.mark.parametrize(("page", "at"), RUN)
@pytest.mark.filterwarnings("ignore:.*was not closed:ResourceWarning")  # some blocks show no end
def test_a_block_of_code_runs(page: str, at: int, place: Path) -> None:
    code = blocks(page)[at].replace("/var/spool", str(place))
    names: dict[str, Any] = {"__name__": "page"}
    if page in ("storage", "errors"):
        names["storage"] = LocalStorage(place / "store")
        names["ImageClient"] = ImageClient
        names["client"] = ImageClient("gemini", storage=names["storage"])
    try:
        exec(compile(code, f"{page}.md", "exec"), names)
    finally:
        from aigc_kit import otel, prices

        otel.uninstrument()
        prices.forget_added()
        for value in names.values():
            if isinstance(value, (ImageClient, ChatClient, LocalStorage)):
                value.close()


def test_a_provider_is_built_and_installed_as_a_package_of_its_own(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    """The tutorial: its module and its entry point, built to a wheel, found without an import."""
    module, *_ = blocks("adding-a-provider")
    (points,) = blocks("adding-a-provider", "toml")
    package = tmp_path / "acme"
    (package / "acme_images").mkdir(parents=True)
    (package / "acme_images" / "__init__.py").write_text(module)
    head = (
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "acme-images"\nversion = "1.0"\n'
    )
    tomllib.loads(head + points)
    (package / "pyproject.toml").write_text(head + points)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=package, check=True, capture_output=True)
    [wheel] = tmp_path.glob("acme_images-*.whl")
    target = tmp_path / "site"
    install = [
        sys.executable,
        "-c",
        "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])",
    ]
    subprocess.run([*install, str(wheel), str(target)], check=True)
    script = (
        "import sys; from aigc_kit import ImageClient\n"
        "with ImageClient('acme', api_key='k', base_url=sys.argv[1]) as client:\n"
        "    print(client.provider.name, len(client.text_to_image('a cat').data))\n"
    )
    sandbox.answer(200, {"image": "iVBORw0KGgo="}, path="/images")
    done = subprocess.run(
        [sys.executable, "-c", script, sandbox.url],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(target)},
        check=False,
    )
    assert done.stdout == "acme 8\n", done.stderr
    assert sandbox.requests[0].body["prompt"] == "a cat"


ON_OTHER_EXECUTORS = """
import sys, types
from concurrent.futures import ThreadPoolExecutor
from aigc_kit.storage import LocalStorage
from distributed import LocalCluster

first, on_dask, on_ray, on_joblib, at_vendor, shown = open("blocks", encoding="utf-8").read().split("~~~~")
names = {"storage": LocalStorage("store")}
done = []

def run(code, out):
    exec(code.replace('"run"', repr(out)), names)
    done.append(names["summary"].done)

run(first, "run")
with LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster:
    run(on_dask.replace("tcp://scheduler:8786", cluster.scheduler_address), "dask")
    names["client"].close()
threads = ThreadPoolExecutor()

class Remote:
    def __init__(self, function):
        self.function = function

    def remote(self, *args, **kwargs):
        future = threads.submit(self.function, *args, **kwargs)
        return types.SimpleNamespace(future=lambda: future)

sys.modules["ray"] = types.SimpleNamespace(remote=lambda **_: Remote)
run(on_ray, "ray")
run(on_joblib, "joblib")
names["executor"].shutdown()
run(at_vendor, "vendor")
exec(shown, names)
print(done)
"""


def test_the_blocks_about_batches_run(place: Path) -> None:
    """
    In a process of their own: Dask and joblib leave threads behind. Dask's scheduler is in it; Ray, which
    is not a dependency, is a stand-in for the calls that the page makes.
    """
    (place / "blocks").write_text("~~~~".join(blocks("batches")), encoding="utf-8")
    (place / "jobs.jsonl").write_text('{"prompt": "a cat", "id": "cat-3"}\n')
    command = [sys.executable, "-c", ON_OTHER_EXECUTORS]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert ran.stdout.splitlines()[-1] == "[2, 1, 1, 1, 0]"
