"""A call's options -> the JSON that Ark takes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aigc_kit.errors import (
    ConfigurationError,
)

FIELDS = frozenset(
    {
        "watermark",
        "seed",
        "guidance_scale",
        "sequential_image_generation",
        "sequential_image_generation_options",
        "stream",
        "response_format",
        "output_format",
        "optimize_prompt_options",
        "optimize_prompt",
        "tools",
        "background",
        "layer_decomposition",
        "family",
        "size_policy",
        "inline_references",
    }
)
"""Source: https://docs.byteplus.com/en/docs/ModelArk/1541523, read 2026-11-22."""


def to_body(
    prompt: str,
    *,
    model: str,
    size: str,
    watermark: bool,
    images: list[str] | None,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """
    The JSON that Ark takes.

    ``images``: addresses or ``data:`` URIs; one goes as a bare string. ``options`` win over
    everything but these. ``extra_body`` in them is merged in last.
    """
    fields = {
        name: value for name, value in options.items() if name != "extra_body" and value is not None
    }
    body: dict[str, Any] = {
        "model": model,
        "prompt": prompt,
        "size": size,
        "response_format": "url",
        "watermark": watermark,
        **fields,
    }
    if images is not None:
        body["image"] = images[0] if len(images) == 1 else images
    extra = options.get("extra_body")
    if extra is not None and not isinstance(extra, Mapping):
        raise ConfigurationError(f"extra_body must be a dict, got {type(extra).__name__}")
    return {**body, **(extra or {})}
