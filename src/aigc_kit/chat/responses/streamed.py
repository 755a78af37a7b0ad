"""What the deltas of a Responses stream have brought, by item. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Streamed:
    """
    The pieces of each item, so that the whole item, which comes behind them, is not taken again.

    Deltas name their item by ``item_id`` and by ``output_index``. Gateways leave out the one, count
    the other from their own beginning, or have 0 everywhere; then the text itself tells.
    """

    def __init__(self) -> None:
        self._left: dict[tuple[str, str | int], str] = {}
        """(kind, id or index) -> what no whole item has claimed yet."""
        self._places: dict[str | int, int] = {}
        """Id or index of a call -> its place among the calls."""
        self._whole: dict[int, str] = {}
        """Place of a call -> its item's id, where that is known."""

    def add(self, kind: str, event: Mapping[str, Any], text: str) -> None:
        key = (kind, _mark(event, "item_id") or index_of(event))
        self._left[key] = self._left.get(key, "") + text

    def has(self, kind: str, event: Mapping[str, Any]) -> bool:
        """Whether deltas have brought something of the item that an event names."""
        return any((kind, key) in self._left for key in (_mark(event, "item_id"), index_of(event)))

    def claims(self, kind: str, at: int, item: Mapping[str, Any], text: str) -> bool:
        """
        Whether the deltas have brought this item.

        Args:
            at: its place in the output.
            text: of the whole item.
        """
        own = [key for key in ((kind, _mark(item, "id")), (kind, at)) if key in self._left]
        others = [key for key in self._left if key[0] == kind and key not in own]
        for key in (*own, *others):
            if text and self._left[key].startswith(text):
                self._left[key] = self._left[key][len(text) :]
                return True
        for key in own[:1]:
            del self._left[key]
            return True
        return False

    # ---- calls

    def call_at(self, event: Mapping[str, Any]) -> int:
        """The place of the call that a delta belongs to."""
        for key in (_mark(event, "item_id"), index_of(event)):
            if key in self._places:
                return self._places[key]
        return self._new(_mark(event, "item_id"), index_of(event))

    def call_of(self, at: int, item: Mapping[str, Any]) -> int:
        """The place of the call that an item is, which stands at ``at`` in the output."""
        mark = _mark(item, "id")
        if mark in self._places:
            return self._places[mark]
        place = self._places.get(at)
        if place is None or (mark and self._whole.get(place, mark) != mark):
            return self._new(mark, at)
        if mark:
            self._places[mark], self._whole[place] = place, mark
        return place

    def _new(self, mark: str, index: int) -> int:
        place = len(set(self._places.values()))
        self._places[index] = place
        if mark:
            self._places[mark], self._whole[place] = place, mark
        return place


def index_of(event: Mapping[str, Any]) -> int:
    at = event.get("output_index")
    return at if type(at) is int else 0


def _mark(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""
