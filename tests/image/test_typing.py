"""What a type checker sees of options: a misspelt one is an error before anything runs."""

from __future__ import annotations

from pathlib import Path

from mypy import api

CODE = """
from aigc_kit import ImageClient

client = ImageClient("volcengine", api_key="k", watermark=True)
client.text_to_image("x", idempotency_key="k", timeout=5.0, extra_body={"anything": 1})
client.text_to_image("x", idempotencykey="k")
client.image_to_image("x", reference_images=b"", time_out=5)
ImageClient("gemini", watermark=True)
ImageClient("volcengine", api_kye="k")
ImageClient("a registered name", anything=1)
"""


def test_a_type_checker_sees_a_misspelt_option(tmp_path: Path) -> None:
    source = tmp_path / "app.py"
    source.write_text(CODE)
    said, problems, _ = api.run(
        ["--no-incremental", "--follow-imports=silent", "--cache-dir=/dev/null", str(source)]
    )
    assert problems == ""
    wrong = {int(line.split(":")[1]) for line in said.splitlines() if ": error:" in line}
    assert {6, 7} <= wrong
    assert not {4, 5, 10} & wrong
