"""
Build the site: ``python docs/site/build.py [FOLDER]``, by default into ``build/site``.

Two languages from the pages in ``docs``: ``page.md`` and ``page.zh-CN.md``. A page without a Chinese
version is shown in English there. Beside them: ``llms.txt``, ``llms-full.txt``, and an index that
leads to the reader's language. Nothing is downloaded, every warning is an error.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
DOCS = HERE.parent
ROOT = DOCS.parent
LANGUAGES = {"en": "", "zh": ".zh-CN"}

PAGES = {
    # (title of a part in English, in Chinese) -> its pages
    ("Guides", "指南"): (
        "start",
        "images",
        "chat",
        "tools",
        "structured",
        "embeddings",
        "storage",
        "errors",
        "asyncio",
        "batches",
        "scale",
    ),
    ("Around it", "周边"): ("command-line", "doctor", "testing", "telemetry", "costs", "labels"),
    ("Extending", "扩展"): ("adding-a-provider",),
    ("Reference", "参考"): ("providers", "reference", "error_codes", "faults", "speed"),
}


_MARK, _LETTER = r"[\u3000-\u303f\uff00-\uffef]", r"[\u4e00-\u9fff]"
_BREAK = re.compile(
    rf"(?<={_LETTER})\n *(?=\[?{_LETTER}|{_MARK})"
    rf"|(?<={_MARK})\n *(?={_LETTER}|{_MARK}|[\w`\[(*])(?!\d+\. |\* )"
)


# The line below a marker links to the English page for those who read the file; the site replaces both.
_SECTIONS = re.compile(r"<!-- sections of ([\w-]+\.md) -->\n.*\(\1(?:#[\w-]+)?\).*\n")
_TABLE = re.compile(r"<!-- table of ([\w-]+\.md): (.+?) -->\n.*\(\1(?:#[\w-]+)?\).*")
HEADINGS = {
    "Image": "图片",
    "Image group": "组图",
    "Image with idempotency_key, kept": "带 idempotency_key 并保存的图片",
    "Reference download": "下载参考图",
    "Chat": "对话",
    "Chat stream": "流式对话",
    "Upload": "上传",
    "Clients": "客户端",
    "Results": "结果",
    "Images": "图片",
    "Stores": "存储",
    "Providers of your own": "自己的 Provider",
    "Errors": "异常",
    "Batches": "批量任务",
    "Setup": "配置",
    "Costs": "费用",
    "Telemetry": "遥测",
    "Testing": "测试",
}


def pages() -> list[str]:
    """Every page, in the order of the table of contents; those that exist."""
    names = ["index", *(name for part in PAGES.values() for name in part)]
    return [name for name in names if (DOCS / f"{name}.md").is_file()]


def text_of(name: str, language: str) -> str:
    """The source of a page; in English where it is not translated."""
    own = DOCS / f"{name}{LANGUAGES[language]}.md"
    if own.is_file():
        text = _SECTIONS.sub(sections, own.read_text(encoding="utf-8"))
        return _TABLE.sub(table, text)
    text = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    if language == "zh":
        return text.replace("\n", "\n\n> 本页暂时只有英文。\n", 1)
    return text


def sections(found: re.Match[str]) -> str:
    """
    What follows the introduction of an English page, with Chinese headings: tables that are measured
    and lists of names are written once.
    """
    text = (DOCS / found[1]).read_text(encoding="utf-8")
    body = text[text.index("\n## ") + 1 :]
    return re.sub(r"^## (.+)$", lambda head: f"## {HEADINGS[head[1]]}", body, flags=re.MULTILINE)


def table(found: re.Match[str]) -> str:
    """The table of an English page that begins so: what code is compared with is written once."""
    text = (DOCS / found[1]).read_text(encoding="utf-8")
    tables = [each for each in text.split("\n\n") if each.startswith(found[2])]
    if len(tables) != 1:
        raise ValueError(
            f"{found[1]} has {len(tables)} tables that begin with {found[2]!r}, not one"
        )
    return tables[0].strip()


def is_translated(name: str, language: str) -> bool:
    return (DOCS / f"{name}{LANGUAGES[language]}.md").is_file()


def linked(text: str, name: str = "", language: str = "en") -> str:
    """
    The text with the site's links: within a language they keep it, from a Chinese page to an English
    one they leave it, and what lies outside of the site is its name alone.
    """

    def led(found: re.Match[str]) -> str:
        said, page, suffix, anchor = found.groups()
        if suffix or language == "en" or not is_translated(page, language):
            return f"[{said}]({page}.md{anchor or ''})"
        if is_translated(name, language):
            return f'<a href="../en/{page}.html{anchor or ""}">{said}</a>'
        return (
            f"[{said}]({page}.md)"  # headings of an English page are not those of the Chinese one
        )

    text = re.sub(r"!\[([^]]*)\]\(\.\./[^)]*\)", r"*\1*", text)
    text = re.sub(r"\[([^]]+)\]\((?:\.\./)[^)]*\)", r"`\1`", text)
    return re.sub(r"\[([^]]+)\]\((\w[\w-]*?)(\.zh-CN)?\.md(#[^)]*)?\)", led, text)


def joined(text: str) -> str:
    """
    Chinese lines of one paragraph without the line break, which a browser shows as a space.

    Blocks of code stay as they are; between a letter and a Latin word the space is wanted.
    """
    pieces = re.split(r"(^```.*?^```$)", text, flags=re.DOTALL | re.MULTILINE)
    return "".join(piece if at % 2 else _BREAK.sub("", piece) for at, piece in enumerate(pieces))


def contents(language: str) -> str:
    known, place = set(pages()), list(LANGUAGES).index(language)
    blocks = []
    for titles, names in PAGES.items():
        listed = "\n".join(name for name in names if name in known)
        blocks.append(f"```{{toctree}}\n:hidden:\n:caption: {titles[place]}\n\n{listed}\n```")
    return "\n\n" + "\n\n".join(blocks) + "\n"


def write_sources(folder: Path, language: str) -> None:
    for picture in DOCS.glob("*.svg"):
        shutil.copy(picture, folder)
    for name in pages():
        text = linked(text_of(name, language), name, language)
        if language == "zh":
            text = joined(text)
        if name == "index":
            text += contents(language)
        (folder / f"{name}.md").write_text(text, encoding="utf-8")


def build(language: str, target: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        source = Path(place)
        for part in ("_static", "_templates"):
            shutil.copytree(HERE / part, source / part)
        shutil.copy(HERE / "conf.py", source)
        write_sources(source, language)
        command = [sys.executable, "-m", "sphinx", "-b", "html", "-n", "-W", "--keep-going", "-q"]
        environment = {**os.environ, "AIGC_KIT_DOCS_LANGUAGE": language}
        subprocess.run(
            [*command, "-d", str(source / ".doctrees"), str(source), str(target / language)],
            env=environment,
            check=True,
        )


def title_of(text: str) -> str:
    return text.partition("\n")[0].lstrip("# ").strip()


def first_sentence(text: str) -> str:
    """Of the first paragraph of words."""
    words = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    for block in words.split("\n\n")[1:]:
        if block[:1].isalnum() or block[:1] == "`":
            sentence = re.split(r"(?<=[.:])\s", " ".join(block.split()))[0]
            return re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", sentence).rstrip(":")
    return ""


def llms() -> str:
    """``llms.txt``. Source: https://llmstxt.org, read 2026-11-26."""
    lines = ["# aigc-kit", "", f"> {first_sentence(text_of('index', 'en'))}", ""]
    for titles, names in PAGES.items():
        lines += [f"## {titles[0]}", ""]
        for name in names:
            if name in pages():
                text = text_of(name, "en")
                lines.append(f"- [{title_of(text)}](en/{name}.html): {first_sentence(text)}")
        lines.append("")
    return "\n".join(lines)


def llms_full() -> str:
    """Every guide as it is written; the reference is in the docstrings."""
    return "\n\n".join(linked(text_of(name, "en")).strip() for name in pages()) + "\n"


INDEX = """<!doctype html>
<html><head><meta charset="utf-8"><title>aigc-kit</title>
<meta http-equiv="refresh" content="1; url=en/index.html">
<script>
location.replace((navigator.language || "").startsWith("zh") ? "zh/index.html" : "en/index.html");
</script></head>
<body><a href="en/index.html">English</a> · <a href="zh/index.html">中文</a></body></html>
"""


def main(target: Path) -> None:
    if target.exists():
        shutil.rmtree(target)
    target.mkdir(parents=True)
    for language in LANGUAGES:
        build(language, target)
    (target / "index.html").write_text(INDEX, encoding="utf-8")
    (target / "llms.txt").write_text(llms(), encoding="utf-8")
    (target / "llms-full.txt").write_text(llms_full(), encoding="utf-8")
    print(f"the site is in {target}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "site")
