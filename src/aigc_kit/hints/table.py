"""The table: rows of the vendors, then those for anybody, then those of a class."""

from __future__ import annotations

from aigc_kit.hints import ark, aws, common, google, openai, s3
from aigc_kit.hints.row import Row

__all__ = ["ROWS", "Row"]

ROWS: tuple[Row, ...] = (
    *ark.ROWS,
    *google.ROWS,
    *openai.ROWS,
    *aws.ROWS,
    *s3.ROWS,
    *common.ROWS,
)
"""Where several rows fit, the first is taken."""
