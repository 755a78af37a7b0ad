"""The page about batches: complete, and the same in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aigc_kit.batch import Line
from aigc_kit.batch.jobs import _FIELDS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["batches.md", "batches.zh-CN.md"])
def test_every_field_of_jobs_and_lines_is_documented(page: str) -> None:
    text = (DOCS / page).read_text("utf-8")
    rows = "".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| `"))
    assert {*_FIELDS, *Line.__dataclass_fields__} <= set(re.findall(r"`([a-z_]+)`", rows))


def test_both_languages_show_the_same_code() -> None:
    def code(page: str) -> list[str]:
        text = (DOCS / page).read_text("utf-8")
        blocks = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
        return [re.sub(r"#.*", "", block) for block in blocks]

    assert code("batches.md") == code("batches.zh-CN.md")
