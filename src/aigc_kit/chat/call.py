"""
One call as every dialect sees it: checked input, options, and the steps around the wire that are
the same for all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any, ClassVar

from aigc_kit import settings
from aigc_kit.chat import functions, structured
from aigc_kit.chat import messages as history
from aigc_kit.chat.base import ChatResult, warning
from aigc_kit.chat.ids import ids_of
from aigc_kit.chat.options import refuse_several_answers
from aigc_kit.chat.parts import check_text
from aigc_kit.chat.structured import Format
from aigc_kit.errors import AIGCError, ConfigurationError, InvalidInputError
from aigc_kit.settings import Secret, spelled
from aigc_kit.transport.deadline import Deadline
from aigc_kit.transport.retry import Policy

TIMEOUT = 600.0
"""Seconds for one call; reasoning models think for minutes."""

_OF_A_CALL = (
    "timeout",
    "max_retries",
    "first_chunk_timeout",
    "chunk_timeout",
    "structured_mode",
    "max_repairs",
    "family",
    "split_think_tags",
)

_PARAMETERS = ("temperature", "top_p", "max_tokens", "stop", "seed")


@dataclass
class CallOptions:
    """
    How long, how often, and how structured answers are got.

    ``headers``: sent with every request. ``family``: the model's name for the rules that go by it,
    where the real name does not tell (a deployment, an ARN). ``split_think_tags``: ``<think>`` at
    the head of the content is reasoning.
    """

    policy: Policy
    first_chunk_timeout: float | None = None
    chunk_timeout: float | None = None
    structured_mode: str | None = None
    max_repairs: int = 1
    family: str = ""
    headers: settings.Headers | None = field(default=None, repr=False)
    split_think_tags: bool = True
    limit: float = 0.0  # the monotonic time by which the next piece must be there

    NAMES: ClassVar[list[str]] = [
        "api_key",
        "model",
        "base_url",
        "timeout",
        "max_retries",
        "first_chunk_timeout",
        "chunk_timeout",
        "structured_mode",
        "max_repairs",
        "allow_private_hosts",
        "default_headers",
        "family",
        "split_think_tags",
    ]

    @classmethod
    def read(
        cls,
        *,
        timeout: Any = None,
        max_retries: Any = 2,
        first_chunk_timeout: Any = None,
        chunk_timeout: Any = None,
        structured_mode: Any = None,
        max_repairs: Any = 1,
        family: Any = None,
        default_headers: Any = None,
        split_think_tags: bool = True,
        variables: Sequence[str] = (),
    ) -> CallOptions:
        """
        Args:
            variables: of the timeout, where none is given.

        Raises:
            ConfigurationError: one of them makes no sense.
        """
        if structured_mode is not None and structured_mode not in structured.MODES:
            raise ConfigurationError(
                f"structured_mode must be one of {', '.join(map(repr, structured.MODES))}, got {spelled(structured_mode)}"
            )
        if first_chunk_timeout is not None:
            first_chunk_timeout = settings.seconds(first_chunk_timeout, default=0)
        if chunk_timeout is not None:
            chunk_timeout = settings.seconds(chunk_timeout, default=0)
        return cls(
            Policy(
                settings.seconds(timeout, *variables, default=TIMEOUT),
                settings.whole_number(max_retries, name="max_retries"),
            ),
            first_chunk_timeout,
            chunk_timeout,
            structured_mode,
            settings.whole_number(max_repairs, name="max_repairs"),
            settings.text(family, "family") or "",
            settings.headers(default_headers, "default_headers"),
            settings.switch(split_think_tags, "split_think_tags"),
        )

    def for_call(self, given: dict[str, Any]) -> CallOptions:
        """These options with what one call says; takes it out of ``given``."""
        named = {name: given.pop(name) for name in _OF_A_CALL if name in given}
        if not any(value is not None for value in named.values()):
            return copy(self)
        before = {
            "timeout": self.policy.timeout,
            "max_retries": self.policy.max_retries,
            "first_chunk_timeout": self.first_chunk_timeout,
            "chunk_timeout": self.chunk_timeout,
            "structured_mode": self.structured_mode,
            "max_repairs": self.max_repairs,
            "family": self.family,
            "default_headers": self.headers,
            "split_think_tags": self.split_think_tags,
        }
        return CallOptions.read(
            **before | {name: value for name, value in named.items() if value is not None}
        )

    @property
    def is_timed(self) -> bool:
        """Whether pieces have times of their own, besides the deadline of the call."""
        return self.chunk_timeout is not None or self.first_chunk_timeout is not None

    def heard(self) -> None:
        """A piece came: the next one has ``chunk_timeout`` seconds."""
        if self.chunk_timeout is not None:
            self.limit = time.monotonic() + self.chunk_timeout
        elif self.first_chunk_timeout is not None:
            self.limit = float("inf")


@dataclass(repr=False)
class Call:
    """
    A checked call.

    ``parameters``: those with a name of their own; ``extra``: the vendor's; ``extra_body`` goes
    last. ``rules``: the model's name for the rules that go by it.
    """

    messages: list[dict[str, Any]]
    model: str
    provider: str
    options: CallOptions
    tools: list[dict[str, Any]] | None = None
    tool_choice: Any = None
    format: Format | None = None
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    extra: dict[str, Any] = field(default_factory=dict[str, Any])
    extra_body: dict[str, Any] = field(default_factory=dict[str, Any])
    headers: settings.Headers | None = None
    deadline: Deadline = field(default_factory=lambda: Deadline.after(TIMEOUT))

    @classmethod
    def read(
        cls,
        messages: Sequence[Any],
        given: dict[str, Any],
        options: CallOptions,
        model: str,
        provider: str,
    ) -> Call:
        """
        Raises:
            InvalidInputError, ConfigurationError: something in it cannot be meant.
        """
        given = dict(given)
        given.pop("stream", None)
        own = options.for_call(given)
        extra_body, headers = given.pop("extra_body", None), given.pop("extra_headers", None)
        if extra_body is not None and not isinstance(extra_body, Mapping):
            raise InvalidInputError(f"extra_body must be a dict, got {type(extra_body).__name__}")
        if isinstance(extra_body, Mapping) and not all(isinstance(key, str) for key in extra_body):
            raise InvalidInputError("extra_body must have str keys")
        name = given.pop("model", None) or model
        if not isinstance(name, str):
            raise InvalidInputError(f"model must be a str, got {type(name).__name__}")
        check_text(name, "model")
        tools, _ = functions.split(given.pop("tools", None))
        choice, tools = history.narrowed(
            given.pop("tool_choice", None), history.checked_tools(tools)
        )
        call = cls(
            history.checked(messages),
            name,
            provider,
            own,
            tools,
            choice,
            Format.read(given.pop("response_format", None)),
            extra_body=dict(extra_body or {}),
            headers={**(own.headers or {}), **(settings.headers(headers) or {})} or None,
        )
        history.check_choice(call.tool_choice, call.tools)
        for parameter in _PARAMETERS:
            value = given.pop(parameter, None)
            if value is not None:
                call.parameters[parameter] = _number(parameter, value)
        call.deadline = Deadline.after(own.policy.timeout)
        call.extra = {field: value for field, value in given.items() if value is not None}
        if call.extra or call.extra_body:
            refuse_several_answers(call.extra, call.extra_body)
        return call

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Credentials among the headers."""
        return settings.secrets_in(self.headers)

    @property
    def rules(self) -> str:
        return self.options.family or self.model

    @property
    def taken(self) -> set[str]:
        """The ids of the calls in the history."""
        return ids_of(self.messages)

    @property
    def schemas(self) -> dict[str, Any]:
        """Tool name -> the schema of its parameters."""
        return {
            tool["function"]["name"]: tool["function"].get("parameters")
            for tool in self.tools or ()
            if isinstance(tool.get("function"), Mapping)
        }

    def repaired(self, ask: Callable[[list[dict[str, Any]]], ChatResult]) -> ChatResult:
        """
        The answer; with ``response_format`` validated, and asked for again with the violations as
        often as allowed.

        Raises:
            StructuredOutputError: it breaks the schema after the last repair.
        """
        result = ask(self.messages)
        if self.format is None:
            return result
        violations = structured.parse(result, self.format)
        repairs = 0
        turns = self.messages
        while violations and repairs < self.options.max_repairs:
            repairs += 1
            turns = [*turns, *structured.repair_turns(result, violations)]
            before = result
            try:
                result = ask(turns)
            except AIGCError as error:
                error.tries += len(before.requests)
                if error.result is None:
                    error.result = before  # paid for, though it breaks the schema
                raise
            result.usage = before.usage + result.usage
            result.requests = [*before.requests, *result.requests]
            result.warnings.append(
                warning("response_format", f"repair {repairs}: {'; '.join(violations[:3])[:300]}")
            )
            violations = structured.parse(result, self.format)
        if violations:
            raise structured.broken(result, violations)
        return result

    def checked_once(self, result: ChatResult) -> ChatResult:
        """A streamed answer, validated; there is no second round."""
        if self.format is not None:
            violations = structured.parse(result, self.format)
            if violations:
                raise structured.broken(result, violations)
        return result


def _number(name: str, value: Any) -> Any:
    whole = name in ("max_tokens", "seed")
    if name == "stop":
        stops = [value] if isinstance(value, str) else value
        if not isinstance(stops, (list, tuple)) or not all(
            isinstance(stop, str) and stop for stop in stops
        ):
            raise InvalidInputError(f"stop must be a text or a list of texts, got {spelled(value)}")
        return value if isinstance(value, str) else list(stops)
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise InvalidInputError(
            f"{name} must be a {'whole number' if whole else 'number'}, got {spelled(value)}"
        )
    if (name == "max_tokens" and value < 1) or (not whole and not 0 <= value <= 2):
        raise InvalidInputError(
            f"{name} must be {'1 or more' if whole else 'from 0 to 2'}, got {spelled(value)}"
        )
    return value
