"""The fault table: measured again, no rule broken, and equal to the page."""

from __future__ import annotations

from tests import fault_table


def test_the_fault_table() -> None:
    """Every provider, every operation, every fault; ``docs/faults.md`` says what comes of it."""
    found, broken = fault_table.table()
    assert broken == []
    assert fault_table.page(found) == fault_table.PAGE.read_text(encoding="utf-8")
