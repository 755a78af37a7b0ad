"""Sizes of OpenAI's image models, and of those who copied its ``/images/generations``. Data."""

from __future__ import annotations

from aigc_kit.image.grids import Grid, Ratios

# openai 3.57 types/image_generate_params.py; pixel bounds: MicrosoftDocs/azure-ai-docs#779 (2026-07)
# and a live 1024x640 in openclaw#118476, read 2026-11-25.
GPT_IMAGE = Grid(
    "gpt-image-2 and later",
    step=16,
    min_side=16,
    max_side=3840,
    least=655_360,
    most=8_294_400,
    max_ratio=3,
    auto=True,
)
# openai 3.57, read 2026-11-25: "1024x1024, 1536x1024, 1024x1536 or auto".
GPT_IMAGE_1 = Grid(
    "gpt-image-1", only=((1024, 1024), (1536, 1024), (1024, 1536)), auto=True, area=1024 * 1024
)
# https://docs.bigmodel.cn, image generation, read 2026-11-25.
GLM_IMAGE = Grid("glm-image", step=32, min_side=1024, max_side=2048, most=1 << 22, area=1280 * 1280)
COGVIEW = Grid("CogView", step=16, min_side=512, max_side=2048, most=1 << 21)
# xai-sdk 1.21.0 image.py and types/image.py, read 2026-11-26; its REST twin takes the same words.
GROK = Ratios(
    "grok-imagine-image",
    (
        *("1:1", "3:4", "4:3", "9:16", "16:9", "2:3", "3:2"),
        *("9:19.5", "19.5:9", "9:20", "20:9", "1:2", "2:1"),
    ),
    ("1K", "2K"),
)
