"""``gallery.html``: what is in it, and what it does in a browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from aigc_kit.batch import Line, Manifest, gallery, run_batch, write_gallery
from aigc_kit.errors import ConfigurationError, InvalidInputError
from aigc_kit.sandbox import Sandbox
from tests.images import make

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
needs_a_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="needs Chromium: apt-get install --no-install-recommends chromium"
)
HOSTILE = '</script><script>document.title="owned"</script><img src=x onerror=alert(1)> & \u202e'


def line(number: int, **fields: Any) -> Line:
    usual: dict[str, Any] = {
        "id": f"job-{number}",
        "provider": "volcengine" if number % 2 else "gemini",
        "prompt": f"lighthouse {number}",
        "size": "1024x1024",
        "file": f"images/{number % 3}.webp",
        "thumbnail": f"images/{number % 3}.webp",
        "cost": {"amount": 0.25, "currency": "CNY", "source": "table"},
    }
    return Line(**{**usual, **fields})


def folder_of(path: Path, lines: list[Line]) -> Path:
    (path / "images").mkdir(parents=True, exist_ok=True)
    for number in range(3):
        (path / "images" / f"{number}.webp").write_bytes(make("WEBP", (64, 64)))
    with Manifest(path) as manifest:
        for each in lines:
            manifest.append(each)
    return path


def data_of(page: Path) -> dict[str, Any]:
    text = page.read_text("utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_a_run_writes_its_page(sandbox: Sandbox, tmp_path: Path) -> None:
    rows = [{"prompt": f"cat {number}", "size": "1K"} for number in range(3)]
    summary = run_batch(
        rows, tmp_path, provider="gemini", client_options=sandbox.image_options("gemini")
    )
    assert summary.gallery == str(tmp_path / "gallery.html")
    lines = data_of(tmp_path / "gallery.html")["lines"]
    assert {each["prompt"] for each in lines} == {"cat 0", "cat 1", "cat 2"}
    assert all((tmp_path / each["thumbnail"]).is_file() for each in lines)
    other = tmp_path / "other"
    run_batch(
        rows,
        other,
        provider="gemini",
        client_options=sandbox.image_options("gemini"),
        gallery=False,
    )
    assert not (other / "gallery.html").exists()


def test_it_has_nothing_of_another_host(tmp_path: Path) -> None:
    """No script, style, font or picture of the network, and a policy that forbids them."""
    page = write_gallery(folder_of(tmp_path, [line(1, url="https://assets.example.com/1.png")]))
    text = page.read_text("utf-8")
    assert re.findall(r'(?:src|href)="([^"]*)"', text) == ["data:,"]
    assert "default-src 'none'" in text
    assert "@import" not in text
    assert "url(" not in text


def test_the_last_line_of_a_job_counts(tmp_path: Path) -> None:
    error = {"type": "ServerError", "code": "", "message": "down", "hint": "", "billed": "no"}
    lines = [line(1, status="failed", error=error), line(2), line(1)]
    shown = data_of(write_gallery(folder_of(tmp_path, lines)))["lines"]
    assert [(each["id"], each["status"]) for each in shown] == [
        ("job-2", "done"),
        ("job-1", "done"),
    ]


def test_many_jobs_have_several_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery, "LINES_OF_A_PAGE", 4)
    first = write_gallery(folder_of(tmp_path, [line(number) for number in range(9)]))
    pages = ["gallery.html", "gallery-2.html", "gallery-3.html"]
    assert data_of(first)["pages"] == pages
    assert [len(data_of(tmp_path / page)["lines"]) for page in pages] == [4, 4, 1]


def test_thumbnails_in_the_page(tmp_path: Path) -> None:
    remote = line(9, file=None, thumbnail="https://assets.example.com/t.webp")
    page = write_gallery(folder_of(tmp_path, [line(1), remote]), inline=True)
    first, second = data_of(page)["lines"]
    assert first["thumbnail"].startswith("data:image/webp;base64,")
    assert second["thumbnail"] == "https://assets.example.com/t.webp"


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="is not the directory of a run"):
        write_gallery(tmp_path)
    with pytest.raises(ConfigurationError, match="language must be 'en' or 'zh'"):
        write_gallery(tmp_path, language="fr")


# ---- in a browser


def in_browser(page: Path, script: str, *, size: str = "1200,800") -> Any:
    """What the function body ``script`` returns after it has run in the page."""
    assert CHROMIUM is not None
    tail = (
        "<script>const tick = () => new Promise((done) => setTimeout(done, 120));"
        "const press = async (key, target) => { (target || document.activeElement || document.body)"
        ".dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true})); await tick(); };"
        f"(async () => {{ await tick(); {script} }})().then((value) => {{"
        "const out = document.createElement('pre'); out.id = 'out';"
        "out.textContent = JSON.stringify(value); document.body.append(out); })"
        ".catch((error) => { const out = document.createElement('pre'); out.id = 'out';"
        "out.textContent = JSON.stringify('failed: ' + error); document.body.append(out); });</script>"
    )
    tried = page.with_name("tried.html")
    tried.write_text(page.read_text("utf-8") + tail, "utf-8")
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            f"--user-data-dir={page.parent / 'profile'}",
            f"--window-size={size}",
            "--virtual-time-budget=20000",
            "--dump-dom",
            tried.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    found = re.search(r'<pre id="out">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None, done.stderr[-2000:]
    return json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    error = {
        "type": "ContentFilterError",
        "code": "blocked",
        "message": "the prompt was refused",
        "hint": "write it differently",
        "billed": "no",
    }
    lines = [line(number) for number in range(10_000)]
    lines[1] = line(1, status="failed", file=None, thumbnail=None, error=error, cost=None)
    lines[2] = line(
        2, status="unknown", file=None, thumbnail=None, error={**error, "billed": "unknown"}
    )
    lines[3] = line(3, prompt=HOSTILE)
    lines[4] = line(4, prompt="منارة عند الغروب", provider="openai")
    lines[5] = line(5, prompt="雨中的橘猫")
    lines[6] = line(6, file="javascript:alert(1)", thumbnail="https://tracker.example.com/x.png")
    return write_gallery(folder_of(tmp_path_factory.mktemp("run"), lines), language="en")


@needs_a_browser
def test_ten_thousand_images_open_at_once(page: Path) -> None:
    """A window of them is in the page, at the top and at the end."""
    seen = in_browser(
        page,
        "const cards = () => [...document.querySelectorAll('.card')].map((c) => Number(c.dataset.at));"
        "const first = cards(); window.scrollTo(0, document.body.scrollHeight);"
        "window.dispatchEvent(new Event('scroll')); await tick();"  # a browser without a screen sends none
        "const end = cards();"
        "const broken = [...document.querySelectorAll('.card img')].filter((i) => i.complete && !i.naturalWidth).length;"
        "return {first: first.length, from: first[0], end: end.length, last: end[end.length - 1], broken,"
        " totals: document.getElementById('totals').textContent};",
    )
    assert 4 <= seen["first"] <= 60
    assert 4 <= seen["end"] <= 60
    assert (seen["from"], seen["last"], seen["broken"]) == (0, 9999, 0)
    assert seen["totals"].startswith("10,000 of 10,000")
    assert "CNY" in seen["totals"]


@needs_a_browser
def test_search_status_and_provider(page: Path) -> None:
    seen = in_browser(
        page,
        "const count = () => document.getElementById('totals').textContent.split(' of')[0];"
        "const find = async (text) => { const box = document.getElementById('find'); box.value = text;"
        " box.dispatchEvent(new Event('input')); await tick(); return count(); };"
        "const out = {cat: await find('橘猫'), two: await find('LIGHTHOUSE 77'), error: await find('refused contentfilter'),"
        " none: await find('nothing like this')}; out.empty = !document.getElementById('empty').hidden;"
        "await find(''); const [all, done, failed, unknown] = document.querySelectorAll('#statuses button');"
        "failed.click(); await tick(); out.failed = count();"
        "document.querySelectorAll('#statuses button')[0].click(); await tick();"
        "const box = document.getElementById('provider'); box.value = 'openai'; box.dispatchEvent(new Event('change')); await tick();"
        "out.openai = count(); return out;",
    )
    assert seen == {
        "cat": "1",
        "two": "280",
        "error": "2",
        "none": "0",
        "empty": True,
        "failed": "1",
        "openai": "1",
    }


@needs_a_browser
def test_the_keyboard_moves_opens_zooms_and_closes(page: Path) -> None:
    seen = in_browser(
        page,
        "document.querySelector('.card').focus(); await press('ArrowRight'); await press('ArrowDown');"
        "const out = {at: Number(document.activeElement.dataset.at)};"
        "await press('Home'); out.home = Number(document.activeElement.dataset.at);"
        "await press('End'); out.end = Number(document.activeElement.dataset.at);"
        "await press('Home'); document.activeElement.click(); await tick();"
        "const zoom = document.getElementById('zoom'); out.open = zoom.open;"
        "const image = document.querySelector('#stage img'); out.image = image.getAttribute('src');"
        "const before = image.getBoundingClientRect().width; await press('1'); await press('+'); await press('+');"
        "out.larger = image.getBoundingClientRect().width > before;"
        "await press('ArrowRight'); out.next = document.getElementById('facts').textContent.includes('ContentFilterError');"
        "out.hint = document.getElementById('extra').textContent;"
        "document.querySelector('#tools button').click(); await tick(); out.closed = !zoom.open; out.back = Number(document.activeElement.dataset.at);"
        "await press('/'); out.search = document.activeElement.id; return out;",
    )
    assert seen.pop("at") > 1
    assert "write it differently" in seen.pop("hint")
    assert seen == {
        "home": 0,
        "end": 9999,
        "open": True,
        "image": "images/0.webp",
        "larger": True,
        "next": True,
        "closed": True,
        "back": 1,
        "search": "find",
    }


@needs_a_browser
def test_texts_of_strangers_are_texts(page: Path) -> None:
    """Markup runs nothing, and neither a path nor a link of another kind is loaded."""
    seen = in_browser(
        page,
        "const cards = document.querySelectorAll('.card');"
        "const out = {title: document.title, text: cards[3].querySelector('.prompt').textContent,"
        " arabic: getComputedStyle(cards[4].querySelector('.prompt')).direction,"
        " strange: cards[6].querySelectorAll('img').length};"
        "cards[6].click(); await tick(); out.links = document.querySelectorAll('#extra a').length; return out;",
    )
    assert seen == {
        "title": page.parent.name,
        "text": HOSTILE,
        "arabic": "rtl",
        "strange": 0,
        "links": 0,
    }


@needs_a_browser
def test_it_speaks_chinese(page: Path) -> None:
    seen = in_browser(
        page,
        "document.getElementById('language').click(); await tick();"
        "return [document.documentElement.lang, document.querySelector('#statuses button').textContent,"
        " document.querySelector('.facts').textContent];",
    )
    assert seen[0] == "zh-CN"
    assert seen[1].startswith("全部")
    assert seen[2].startswith("完成")
