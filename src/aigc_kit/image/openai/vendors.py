"""
The services that speak ``/images/generations``: where each differs from OpenAI. Data.

Every row has its source and the day on which it was read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any, Literal

from aigc_kit.errors import ConfigurationError
from aigc_kit.image.grids import ANY, Grid, Ratios, matches
from aigc_kit.image.openai.sizes import COGVIEW, GLM_IMAGE, GROK
from aigc_kit.settings import spelled, suggestion
from aigc_kit.transport import codes
from aigc_kit.transport.failures import Judge
from aigc_kit.vendors import ACCOUNTS, Account

_PLAIN = frozenset({"image/png", "image/jpeg", "image/webp"})


@dataclass(frozen=True, eq=False)
class Vendor(Account):
    """
    What is true of one vendor's images.

    - ``model``: the default. ``path``: of a request from text.
    - ``edits``: how references travel: ``"form"`` (multipart to ``edits_path``), ``"objects"``
      (JSON, ``image: {url}`` or ``images: [...]``), ``"fields"`` (JSON, ``image``, ``image2``,
      ``image3``), ``"chat"`` (parts of a message), or ``""``: it takes none.
    - ``references``, ``reference_bytes``, ``reference_types``: of them. ``links``: it fetches public
      URLs itself.
    - ``mask``: whether a mask may be sent. ``group``: images of one request at most, of the models
      of ``groups``; ``count``: the field that says how many.
    - ``size``: how a size is said: a field for pixels, ``"ratio"`` (``aspect_ratio`` and
      ``resolution``) or ``"image_config"``. ``grids``: (pattern of models, what they take).
      ``unsized``: models that take no size with a reference.
    - ``streams``: whether ``stream`` is known. ``lifetime``: of the URLs that come.
    - ``blocked_is_empty``: a moderated image is an entry without one.
    - ``renamed``: our word -> its field. ``fields``: its own names for options of a call.
    - ``rules_of_openai``: whether the rules of OpenAI's models are checked before sending.
    - ``key_header``: ``""`` is ``Authorization: Bearer``. ``sends_model``, ``api_version``: of
      Azure's deployments.
    """

    model: str = ""
    path: str = "/images/generations"
    edits: Literal["form", "objects", "fields", "chat", ""] = "form"
    edits_path: str = "/images/edits"
    references: int = 16
    reference_bytes: int = 50_000_000
    reference_types: frozenset[str] = _PLAIN
    links: bool = False
    mask: bool = False
    group: int = 1
    groups: str = r".*"
    count: str = "n"
    size: str = "size"
    grids: tuple[tuple[str, Grid | Ratios], ...] = ()
    unsized: str = r"(?!)"
    streams: bool = False
    lifetime: timedelta | None = None
    blocked_is_empty: bool = False
    renamed: tuple[tuple[str, str], ...] = ()
    fields: frozenset[str] = frozenset()
    rules_of_openai: bool = False
    key_header: str = ""
    sends_model: bool = True
    api_version: bool = False
    judge: Judge = codes.openai

    def grid_of(self, model: str) -> Grid | Ratios:
        return next((grid for pattern, grid in self.grids if matches(pattern, model)), ANY)


# openai 3.57 types/image_generate_params.py and image_edit_params.py, read 2026-11-25.
_OPENAI_FIELDS = frozenset(
    {
        "quality",
        "background",
        "output_format",
        "output_compression",
        "moderation",
        "complexity",
        "safety_identifier",
        "user",
        "stream",
        "partial_images",
        "frame_count",
        "frame_duration_ms",
        "svg",
        "input_fidelity",
        "markup",
    }
)


def _row(name: str, **facts: Any) -> Vendor:
    """A vendor's row: where it is, and what is true of its images."""
    account = {each.name: getattr(ACCOUNTS[name], each.name) for each in fields(Account)}
    return Vendor(**account, **facts)


VENDORS = {
    vendor.name: vendor
    for vendor in (
        # openai 3.57 resources/images.py; https://developers.openai.com/api/docs/deprecations,
        # read 2026-11-25. The two successors of the models that end on 2026-12-01 cost the same;
        # flare is the faster one.
        _row(
            "openai",
            model="gpt-image-2.6-flare",
            mask=True,
            group=10,
            streams=True,
            fields=_OPENAI_FIELDS,
            rules_of_openai=True,
        ),
        # A relay. One image a request: some bill n images and give one
        # (https://docs.apiyi.com/en/api-capabilities/gpt-image-2-all, read 2026-11-25).
        _row(
            "openai_compat",
            mask=True,
            streams=True,
            fields=_OPENAI_FIELDS | {"response_format", "style", "negative_prompt", "seed"},
            rules_of_openai=True,
        ),
        # https://docs.bigmodel.cn, image generation; zai-sdk 0.2.3, read 2026-11-25. Its watermark
        # is on unless the account has signed a waiver, so nothing is sent about it by default.
        _row(
            "glm",
            model="glm-image",
            edits="",
            references=0,
            grids=((r"glm-image.*", GLM_IMAGE), (r"cogview-.*", COGVIEW)),
            lifetime=timedelta(days=30),
            renamed=(("watermark", "watermark_enabled"),),
            fields=frozenset(
                {"quality", "watermark", "watermark_enabled", "user_id", "request_id"}
            ),
            judge=codes.glm,
        ),
        # https://docs.siliconflow.cn/cn/api-reference/images/images-generations, read 2026-11-25.
        _row(
            "siliconflow",
            model="Qwen/Qwen-Image",
            edits="fields",
            edits_path="/images/generations",
            references=3,
            links=True,
            group=4,
            groups=r".*kolors.*",
            count="batch_size",
            size="image_size",
            unsized=r"qwen-image-edit.*",
            lifetime=timedelta(hours=1),
            fields=frozenset(
                {
                    "negative_prompt",
                    "num_inference_steps",
                    "guidance_scale",
                    "cfg",
                    "seed",
                    "image_size",
                    "batch_size",
                }
            ),
        ),
        # litellm 1.110.2 llms/openrouter/image_generation, read 2026-11-25. image_config has
        # Gemini's words.
        _row(
            "openrouter",
            path="/chat/completions",
            edits="chat",
            edits_path="/chat/completions",
            references=14,
            size="image_config",
            fields=frozenset({"image_config", "seed", "temperature", "top_p", "provider"}),
        ),
        # xai-sdk 1.21.0 image.py; vercel/ai#19168 (2026-08); litellm 1.110.2, read 2026-11-25.
        _row(
            "xai",
            model="grok-imagine-image-2.0",
            edits="objects",
            references=4,
            links=True,
            group=10,
            size="ratio",
            grids=((r".*", GROK),),
            blocked_is_empty=True,
            fields=frozenset({"aspect_ratio", "resolution", "response_format", "quality", "user"}),
        ),
    )
}

_HOSTS: tuple[tuple[str, dict[str, Any]], ...] = (
    # A deployment's own path: the model is in the URL, and a body that names it breaks the call
    # (BerriAI/litellm#26316, litellm 1.110.2 llms/azure/image_generation, read 2026-11-25).
    (
        r"https?://[^/]+(/.*)?/openai/deployments/[^/]+",
        {"key_header": "api-key", "sends_model": False, "api_version": True},
    ),
)
"""What a URL changes, whatever vendor it was given for."""

_IDENTITY = frozenset({"model", *(each.name for each in fields(Account))})


def facts_of(row: Vendor, base_url: str, profile: Mapping[str, Any] | None) -> Vendor:
    """
    What is true at this URL.

    Args:
        profile: fields of ``Vendor`` that the caller knows better.

    Raises:
        ConfigurationError: ``profile`` is not a dict of such fields.
    """
    for pattern, changes in _HOSTS:
        if re.fullmatch(pattern, base_url, re.IGNORECASE):
            row = replace(row, **changes)
    if not profile:
        return row
    if not isinstance(profile, Mapping):
        raise ConfigurationError(f"profile must be a dict of facts, got {spelled(profile)}")
    known = {each.name for each in fields(Vendor)} - _IDENTITY
    for name, value in profile.items():
        if name not in known:
            raise ConfigurationError(
                f"profile has no fact {spelled(name)}; there are: {', '.join(sorted(known))}"
                f"{suggestion(str(name), known)}"
            )
        standard = getattr(row, name)
        if standard is not None and not isinstance(value, type(standard)):
            raise ConfigurationError(
                f"profile's {name} must be like {standard!r}, got {spelled(value)}"
            )
    return replace(row, **profile)
