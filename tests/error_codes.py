"""``docs/error_codes.md`` and its Chinese page, written from the table: ``python -m tests.error_codes --write``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from aigc_kit.hints import ROWS
from aigc_kit.hints.row import Row

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {"en": DOCS / "error_codes.md", "zh": DOCS / "error_codes.zh-CN.md"}

_VENDORS = {
    "ark": ("Volcengine Ark, BytePlus ModelArk", "火山方舟、BytePlus ModelArk"),
    "google": ("Gemini (Vertex AI, Developer API)", "Gemini（Vertex AI、Developer API）"),
    "openai": ("OpenAI and local servers", "OpenAI 与本地服务"),
    "deepseek": ("DeepSeek", "DeepSeek"),
    "glm": ("Zhipu GLM", "智谱 GLM"),
    "moonshot": ("Moonshot Kimi", "Moonshot Kimi"),
    "dashscope": ("Alibaba Qwen (Model Studio)", "阿里云百炼（通义千问）"),
    "minimax": ("MiniMax", "MiniMax"),
    "aws": ("Amazon Bedrock", "Amazon Bedrock"),
    "s3": ("Stores (R2, S3, OSS, COS, TOS)", "存储（R2、S3、OSS、COS、TOS）"),
    "any": ("Everywhere", "通用"),
}
_WORDS = {
    "en": (
        "# Error codes",
        "What `error.hint` says, by the vendor's own code. Programs go by the error's class and `billed`, see [errors and money](errors.md); this page is for people. [中文](error_codes.zh-CN.md)",
        "This page is written from the table in `aigc_kit.hints` by `python -m tests.error_codes --write`.",
        ("code", "cause", "what to do", "source"),
        "message like",
    ),
    "zh": (
        "# 错误码",
        "`error.hint` 的内容，按厂商自己的错误码排列。程序应根据异常类和 `billed` 处理（[错误与费用](errors.zh-CN.md)），本页供人查阅。[English](error_codes.md)",
        "本页由 `python -m tests.error_codes --write` 从 `aigc_kit.hints` 的表生成。",
        ("错误码", "原因", "处理办法", "来源"),
        "消息匹配",
    ),
}


def document(language: str) -> str:
    """The page in ``"en"`` or ``"zh"``."""
    title, text, origin, heads, _ = _WORDS[language]
    lines = [title, "", text, "", origin]
    for vendor, names in _VENDORS.items():
        rows = [row for row in ROWS if row.vendor == vendor]
        lines += ["", f"## {names[0] if language == 'en' else names[1]}", ""]
        lines += [f"| {' | '.join(heads)} |", "|---|---|---|---|"]
        lines += [f"| {' | '.join(_cells(row, language))} |" for row in rows]
    return "\n".join(lines) + "\n"


def _cells(row: Row, language: str) -> Iterator[str]:
    names = [f"`{code}`" for code in row.codes] or [f"`{row.kind}`"] * bool(row.kind)
    if row.words:
        names.append(f"{_WORDS[language][4]} `{row.words}`")
    yield ", ".join(names).replace("|", "\\|")
    yield from (row.cause, row.remedy) if language == "en" else (row.cause_zh, row.remedy_zh)
    where = row.source if "://" not in row.source else f"[{row.date}]({row.source})"
    yield where if "://" in row.source else f"{where}, {row.date}"


def main() -> int:
    if "--write" not in sys.argv:
        print(document("en"))
        return 0
    for language, path in PAGES.items():
        path.write_text(document(language), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
