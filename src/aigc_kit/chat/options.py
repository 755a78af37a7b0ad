"""Options of one chat call: misspelt names, and options that change what comes back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aigc_kit.errors import ConfigurationError, UnsupportedFeatureError
from aigc_kit.settings import spelled

OURS = (
    "messages",
    "model",
    "tools",
    "tool_choice",
    "response_format",
    "temperature",
    "top_p",
    "max_tokens",
    "stop",
    "seed",
    "timeout",
    "extra_body",
    "extra_headers",
    "max_retries",
    "first_chunk_timeout",
    "chunk_timeout",
    "structured_mode",
    "max_repairs",
    "thinking",
    "family",
    "split_think_tags",
    "api",
)
OF_THE_LOOP = ("tool_executor", "max_iterations", "on_tool_error")

_VENDORS = frozenset(
    {
        "top_k",
        "top_a",
        "min_p",
        "min_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "max_new_tokens",
        "stop_sequences",
        "tool_config",
        "stream_options",
        "models",
        "temperature_last",
        "reasoning_effort",
        "frequency_penalty",
        "presence_penalty",
    }
)
"""Fields of vendors that look like options of ours and are not; ``models`` is OpenRouter's."""

_OF_A_CLIENT = frozenset(
    {"api_key", "base_url", "default_headers", "profile", "allow_private_hosts"}
)

_SEVERAL = ("n", "candidate_count", "candidateCount", "num_completions", "num_choices", "best_of")
"""Every vendor's name for how many answers one request gives."""


_EXACT = frozenset(OURS)


def refuse_misspelt(given: Iterable[str], known: tuple[str, ...] = OURS) -> None:
    """
    Refuse options of a client, and names that are an option of ours with a slip: they would be sent
    to the vendor (a key among them), and have no effect here.

    Raises:
        ConfigurationError: names the right one.
    """
    for name in given:
        if name in _EXACT or name in known or name in _VENDORS:
            continue
        if name in _OF_A_CLIENT:
            raise ConfigurationError(
                f"{name!r} is an option of ChatClient, not of a call: pass it to ChatClient(...)"
            )
        plain = {_plain(each): each for each in known}
        close = plain.get(_plain(name)) or _close(name, known)
        if close:
            raise ConfigurationError(
                f"{name!r} is not an option; did you mean {close!r}? (a field of the vendor's goes into extra_body)"
            )


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _close(name: str, known: tuple[str, ...]) -> str:
    import difflib

    found = difflib.get_close_matches(name, known, n=1, cutoff=0.8) if len(name) > 4 else []
    return found[0] if found else ""


def refuse_stream(given: Mapping[str, Any], instead: str) -> None:
    """
    Raises:
        ConfigurationError: ``stream=True`` where a whole answer is returned.
    """
    body = given.get("extra_body")
    nested = body.get("stream") if isinstance(body, Mapping) else None
    if given.get("stream") or nested:
        raise ConfigurationError(f"stream=True: use {instead} for an answer in pieces")


def refuse_several_answers(extra: Mapping[str, Any], extra_body: Mapping[str, Any]) -> None:
    """
    Raises:
        UnsupportedFeatureError: more than one answer is asked for, under any vendor's name.
    """
    holders = [extra, extra_body]
    for holder in (extra, extra_body):
        for name in ("generationConfig", "generation_config", "config"):
            if isinstance(holder.get(name), Mapping):
                holders.append(holder[name])
    for holder in holders:
        for name in _SEVERAL:
            value = holder.get(name)
            if value is not None and (isinstance(value, bool) or value != 1):
                raise UnsupportedFeatureError(
                    f"{name}={spelled(value)}: one call gives one answer; call chat once for each answer"
                )
