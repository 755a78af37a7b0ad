"""
Pieces of tool calls -> whole calls, for every dialect.

Vendors number, name and cut tool calls in many ways: indexes that are missing, constant or collide,
ids that come late, again or never, two fragments in one chunk, whole calls, arguments as objects. A
fragment is routed by its id first, then by its index, then to the call before it. A call that comes
a second time is dropped, wherever it comes from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from aigc_kit.chat import json_text
from aigc_kit.chat.base import ToolCallDelta
from aigc_kit.chat.ids import fresh


class Call:
    __slots__ = (
        "arguments",
        "extra",
        "id",
        "index",
        "is_dropped",
        "is_empty_object",
        "name",
        "original",
        "repeats",
        "sent_name",
        "size",
        "snapshot",
    )

    def __init__(self) -> None:
        self.id = ""
        self.original = ""  # the vendor's id, which another call may have too
        self.name = ""
        self.sent_name = ""  # as the vendor knows it
        self.snapshot = ""  # the last piece, while each holds all that came before it
        self.arguments: list[str] = []
        self.size = 0  # characters in them
        self.extra: dict[str, Any] = {}
        self.index = -1  # in the deltas; -1 while it is not certain that this is a call of its own
        self.is_empty_object = False  # "{}" came, and nothing else yet
        self.repeats: Call | None = None  # the finished call with the same id
        self.is_dropped = False

    def text(self) -> str:
        if len(self.arguments) > 1:
            self.arguments = ["".join(self.arguments)]
        return self.arguments[0] if self.arguments else ""

    def value(self) -> Any:
        """
        The arguments as an object, also when they are encoded twice; None while they are not one.
        """
        return _object_in(self.text())

    def settle(self) -> None:
        """
        At the end: some servers send all of the arguments so far in each piece, which together are
        not JSON. Source: vercel/ai#15888, NousResearch/hermes-agent#35718, read 2026-11-26.
        """
        if self.snapshot and self.value() is None and _object_in(self.snapshot) is not None:
            self.arguments = [self.snapshot]

    def is_complete(self) -> bool:
        return self.value() is not None


class ToolCalls:
    """The calls of one answer. Dialects add pieces; ``finish`` ends it."""

    def __init__(
        self, names: Mapping[str, str], taken: Collection[str], known: Collection[str] = ()
    ) -> None:
        """
        Args:
            names: tool names as sent -> the application's own.
            taken: ids of the calls in the history.
            known: the application's tools.
        """
        self._names = names
        self._known = (*names, *known)
        self._used = set(taken)
        self._calls: list[Call] = []
        self._by_id: dict[str, int] = {}
        self._by_index: dict[int, int] = {}
        self._shown = 0

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[Call]:
        return iter(self._calls)

    def __getitem__(self, number: int) -> Call:
        return self._calls[number]

    @property
    def kept(self) -> list[Call]:
        """Those that are calls: named, and not said before."""
        return [call for call in self._calls if call.name and not call.is_dropped]

    def fragment(
        self,
        *,
        index: Any = None,
        id: Any = None,
        name: Any = None,
        arguments: Any = None,
        extra: Mapping[str, Any] | None = None,
        whole: bool = False,
    ) -> ToolCallDelta | None:
        """
        Add a piece of a call; returns what of it is certain, None when nothing is.

        Args:
            whole: the arguments are complete; else ``{}`` may stand before the real ones.
        """
        place = _place(index)
        mark = id if isinstance(id, str) else ""
        word = name.strip() if isinstance(name, str) else ""
        if isinstance(arguments, str):
            text = arguments
        else:
            text = (
                json.dumps(arguments, ensure_ascii=False)
                if isinstance(arguments, (dict, list))
                else ""
            )
        if word and self._continues_name(place, word):
            return self._longer_name(self._by_index[place or 0], word)
        sent, word = word, self._names.get(word, word)
        at = self._route(place, mark, word, text)
        call = self._calls[at]
        if place is not None:
            self._by_index[place] = at
        if mark and not call.original:
            self._named(call, at, mark)
        if extra:
            call.extra.update(extra)
        named = word if word and not call.name else ""
        if not call.name:
            call.name, call.sent_name = word, sent
        return self._added(call, text, mark, named, whole=whole)

    def more_arguments(self, index: int, piece: str) -> ToolCallDelta | None:
        """
        ``fragment`` for a piece that goes on with the arguments of a call; None when it may be
        anything else.
        """
        at = self._by_index.get(index)
        if at is None or not piece:
            return None
        call = self._calls[at]
        if (
            not call.arguments
            or call.index < 0
            or call.repeats
            or piece[0] == "{"
            or _may_repeat(call, piece)
        ):
            return None
        call.snapshot = ""
        call.arguments.append(piece)
        call.size += len(piece)
        return ToolCallDelta(call.index, "", "", piece)

    def _continues_name(self, place: int | None, word: str) -> bool:
        """
        Whether the word is the next piece of a name that no tool has yet. OpenAI's SDK joins such
        pieces; openclaw/openclaw#130532 reports them.
        """
        at = self._by_index.get(place) if place is not None else None
        if at is None or self._calls[at].arguments:
            return False
        begun = self._calls[at].sent_name
        if not begun or begun in self._known:
            return False
        return any(name.startswith(begun + word) for name in self._known)

    def _longer_name(self, at: int, word: str) -> ToolCallDelta:
        call = self._calls[at]
        call.sent_name += word
        call.name = self._names.get(call.sent_name, call.sent_name)
        return ToolCallDelta(call.index, "", word, "")

    def _added(
        self, call: Call, text: str, mark: str, named: str, *, whole: bool
    ) -> ToolCallDelta | None:
        if text and not whole and not call.arguments and text.strip() == "{}":
            call.is_empty_object = True
            text = ""
        if call.is_empty_object and not call.arguments and not text.strip():
            text = ""
        if text and call.arguments and _may_repeat(call, text) and _same(call.value(), text):
            text = ""  # the finished arguments once more
        if text:
            call.snapshot = text if text.startswith(call.snapshot or call.text()) else ""
            call.arguments.append(text)
            call.size += len(text)
        if call.repeats is not None:
            return self._judged(call)
        if call.index < 0:
            return self._released(call) if call.name else None
        late_id = call.id if mark and call.original == mark and named else ""
        if text or named or late_id:
            return ToolCallDelta(call.index, late_id, named, text)
        return None

    def _judged(self, call: Call) -> ToolCallDelta | None:
        """
        A call with the id of a finished one, once its arguments are complete: the same again, or
        another call.
        """
        first = call.repeats
        value = call.value()
        if first is None or value is None:
            return None
        if call.name == first.name and json_text.canonical(value) == json_text.canonical(
            first.value()
        ):
            call.is_dropped = True
            return None
        return self._released(call)

    def _released(self, call: Call) -> ToolCallDelta:
        call.repeats = None
        call.index, self._shown = self._shown, self._shown + 1
        return ToolCallDelta(call.index, call.id, call.name, call.text())

    def _named(self, call: Call, at: int, mark: str) -> None:
        call.original = mark
        self._by_id[mark] = at
        call.id = mark if mark not in self._used else fresh(mark, self._used)
        self._used.add(call.id)

    def _route(self, place: int | None, mark: str, word: str, text: str) -> int:
        if mark and mark in self._by_id:
            at = self._by_id[mark]
            if word and self._begins_again(at, word, text):
                return self._repeated(at)
            return at
        known = self._by_index.get(place) if place is not None else None
        if known is None and self._calls and (place is None or not (mark or word)):
            known = len(self._calls) - 1
        if known is None:
            return self._new()
        call = self._calls[known]
        if mark and not word:  # some servers make a new id for each piece: vllm-project/vllm#23522
            return self._new() if _may_begin(text) and call.is_complete() else known
        if mark:
            late = not call.original and (
                not call.name or (word == call.name and not self._begins_again(known, word, text))
            )
            return known if late else self._new()
        if not (word and call.name) or (
            word == call.name and not self._begins_again(known, word, text)
        ):
            return known
        return self._repeated(known) if word == call.name and not text else self._new()

    def _begins_again(self, at: int, word: str, text: str) -> bool:
        call = self._calls[at]
        if not call.name or word != call.name:
            return bool(call.name)
        if call.is_empty_object and not call.arguments:
            return False  # "{}" before the real arguments
        return (not text or _may_begin(text)) and call.is_complete()

    def _repeated(self, at: int) -> int:
        first = self._calls[at]
        new = self._new()
        self._calls[new].repeats = first if self._calls[new] is not first else None
        return new

    def _new(self) -> int:
        self._calls.append(Call())
        return len(self._calls) - 1

    def finish(self) -> list[ToolCallDelta]:
        """At the end of the answer: what was held back."""
        return [delta for delta in map(self._finished, self._calls) if delta is not None]

    def _finished(self, call: Call) -> ToolCallDelta | None:
        if call.repeats is not None and not call.is_dropped:
            if call.text().strip():
                return self._released(call)
            call.is_dropped = True
        if call.is_dropped or not call.name:
            return None
        call.settle()
        minted = ""
        if not call.id:
            minted = call.id = self.minted(call.index)
            self._used.add(minted)
        text = "{}" if call.is_empty_object and not call.arguments else ""
        return ToolCallDelta(call.index, minted, "", text) if minted or text else None

    def minted(self, number: int) -> str:
        """An id for a call that came without one, unique in the conversation."""
        made = f"call_{number}"
        return made if made not in self._used else fresh("call", self._used)

    def raw(self) -> list[dict[str, Any]]:
        """The calls in OpenAI's shape, with the vendor's own ids and arguments."""
        return [
            {
                "id": call.original,
                "type": "function",
                "function": {"name": call.name, "arguments": call.text()},
            }
            for call in self.kept
        ]


def _place(index: Any) -> int | None:
    if type(index) is int and 0 <= index < 1_000_000:
        return index
    return int(index) if isinstance(index, str) and re.fullmatch(r"[0-9]{1,6}", index) else None


def _may_begin(text: str) -> bool:
    """Whether the text can be the first of a call's arguments."""
    return text.lstrip().startswith(("{", '"'))


def _may_repeat(call: Call, text: str) -> bool:
    """
    Whether the text can be all of the call's arguments again; cheap, for it is asked of every
    piece.
    """
    return text[:1] in '{ "\n' and text.rstrip()[-1:] in ("}", '"') and 2 * len(text) >= call.size


def _same(value: Any, text: str) -> bool:
    other = _object_in(text)
    return (
        value is not None
        and other is not None
        and json_text.canonical(other) == json_text.canonical(value)
    )


def _object_in(text: str) -> Any:
    """The object that arguments stand for, None when they stand for none."""
    value: Any = text
    for _ in range(2):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
        if not isinstance(value, str):
            break
    return value if isinstance(value, dict) else None
