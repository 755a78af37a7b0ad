"""Prices by vendor, model and moment: the application's own, then this package's, then a library's."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import Any
from urllib.parse import urlsplit

from aigc_kit.prices.cost import EXACT, Cost, finite
from aigc_kit.prices.embeddings import EMBEDDINGS
from aigc_kit.prices.images import IMAGES
from aigc_kit.prices.price import MILLION, ImagePrice, Price, check
from aigc_kit.prices.tokens import TOKENS
from aigc_kit.vendors import ACCOUNTS, ALIASES, account_of

_PLAIN_TIERS = frozenset({"", "auto", "default", "standard", "on_demand", "on-demand"})
"""What the service tier of the list price is called."""

_lock = threading.Lock()
_added: tuple[Price | ImagePrice, ...] = ()

# Also the aliases of vendors that draw and have no account with a key, or that draw alone.
_NAMES = {**ALIASES, "google": "gemini", "seedream": "volcengine", "wan": "dashscope"}


def add(*prices: Price | ImagePrice) -> None:
    """
    Prices that are looked at before this package's own; of two that fit, the one added last holds.

    Raises:
        ConfigurationError: it is neither a ``Price`` nor an ``ImagePrice``, or has a member that makes
            no sense.
    """
    global _added
    for price in prices:
        check(price)
    named = [
        replace(price, provider=_NAMES.get(price.provider, price.provider)) for price in prices
    ]
    with _lock:
        _added = (*reversed(named), *_added)


def forget_added() -> None:
    """Take back what ``add`` added."""
    global _added
    with _lock:
        _added = ()


def cost_of_tokens(
    provider: str,
    model: str,
    *,
    prompt: int,
    completion: int = 0,
    cached: int = 0,
    written: int = 0,
    written_long: int = 0,
    base_url: str = "",
    at: datetime | None = None,
    tier: str = "",
    reported: Any = None,
) -> Cost | None:
    """
    What these tokens cost, None when it is unknown: no price, or no usage.

    Args:
        provider: its name or an alias; ``openai_compat`` is told by its base URL.
        prompt: tokens, those of the cache (``cached`` read, ``written``) included; of ``written``
            those that are kept longer are ``written_long``.
        at: when the request began; unset: now.
        tier: the service tier that the response names.
        reported: the amount in dollars that a gateway gives with the usage.
    """
    at = at or datetime.now(UTC)
    told = _reported(reported, provider, at)
    if told is not None or not (prompt or completion):
        return told
    name, region = _place(provider, base_url)
    bare = _bare(model)
    for price in (*_added, *TOKENS, *EMBEDDINGS):
        if isinstance(price, Price) and price.fits(name, bare, region=region, at=at):
            rates = price.rates_for(prompt, at)
            factor = price.factors.get(tier, 1 if tier in _PLAIN_TIERS else None)
            if factor is None or (written_long and not rates.tells_long_writes):
                return None  # a tier or a lifetime whose price is not known
            with localcontext(EXACT):
                amount = rates.cost(prompt, completion, cached, written, written_long)
                return _priced(price, amount * Decimal(factor) * _regional(name, model))
    if name == "openai_compat":  # a relay sells by a list of its own
        return None
    return _of_library(name, bare, prompt, completion, cached, written, at)


def cost_of_image(
    provider: str,
    model: str,
    *,
    pixels: int = 0,
    references: int = 0,
    usage: Any = None,
    images: int = 1,
    base_url: str = "",
    reported: Any = None,
    upper_bound: bool = False,
) -> Cost | None:
    """
    What one image cost, None when it is unknown.

    Args:
        pixels: of the image; 0: not known, the highest price then.
        references: images that were sent with the request.
        usage: of the response; its tokens are shared by the ``images`` that came with it.
        upper_bound: it is not certain that it was charged. So is the price of a model that is billed
            by tokens, without a usage.
    """
    told = _reported(reported, provider, datetime.now(UTC), upper_bound=upper_bound)
    if told is not None:
        return told
    name, region = _place(provider, base_url)
    bare = _bare(model)
    for price in (*_added, *IMAGES):
        if not isinstance(price, ImagePrice) or not price.fits(name, bare, region=region):
            continue
        with localcontext(EXACT):
            amount = _by_tokens(price, usage, images)
            if amount is None:  # what quality, text and thoughts cost is in the usage alone
                upper_bound = upper_bound or price.output is not None
                amount = (
                    price.at_most(references, pixels) if upper_bound else price.of_image(pixels)
                )
            if amount is None:
                return None
            charged = max(references - price.free_references, 0)
            amount += Decimal(price.reference) * charged / max(images, 1)
        return _priced(price, amount, upper_bound=upper_bound)
    return None


def _priced(
    price: Price | ImagePrice, amount: Decimal, *, upper_bound: bool = False
) -> Cost | None:
    """None where the usage was absurd: a count below 0, or one beyond a float."""
    if finite(amount) is None or amount < 0:
        return None
    return Cost(
        amount, price.currency, source=price.source, as_of=price.as_of, upper_bound=upper_bound
    )


def _by_tokens(price: ImagePrice, usage: Any, images: int) -> Decimal | None:
    """By the usage of OpenAI's images, or of Gemini's ``usageMetadata``."""
    if not isinstance(usage, Mapping) or price.output is None:
        return None
    output = _number(usage, "output_tokens", "candidatesTokenCount")
    if not output:
        return None
    details = usage.get("input_tokens_details")
    picture = _number(details, "image_tokens") if isinstance(details, Mapping) else 0
    prompt = _number(usage, "input_tokens", "promptTokenCount")
    text = Decimal(price.input or 0)
    seen = text if price.input_image is None else Decimal(price.input_image)
    spent = (prompt - picture) * text + picture * seen + output * Decimal(price.output)
    if price.output_text is not None:
        # Gemini bills words and thoughts beside an image by the rate of text; its count of
        # candidates has the words in it and the thoughts not. Source: ai.google.dev pricing and
        # usageMetadata, read 2026-11-25.
        wrote, words = Decimal(price.output_text), _words(usage)
        spent -= min(words, output) * (Decimal(price.output) - wrote)
        spent += _number(usage, "thoughtsTokenCount") * wrote
    return spent / MILLION / max(images, 1)


def _words(usage: Mapping[str, Any]) -> int:
    """Tokens of text beside images: in Gemini's candidates, in OpenAI's output."""
    outputs = usage.get("output_tokens_details")
    told = _number(outputs, "text_tokens") if isinstance(outputs, Mapping) else 0
    details = usage.get("candidatesTokensDetails")
    return told + sum(
        _number(each, "tokenCount")
        for each in (details if isinstance(details, list) else ())
        if isinstance(each, Mapping) and each.get("modality") == "TEXT"
    )


def _number(usage: Mapping[str, Any], *names: str) -> int:
    for name in names:
        if type(usage.get(name)) is int:
            return int(usage[name])
    return 0


def _reported(
    amount: Any, provider: str, at: datetime, *, upper_bound: bool = False
) -> Cost | None:
    told = finite(amount)
    if told is None or told < 0:
        return None
    said = f"reported by {provider}"
    return Cost(told, "USD", source=said, as_of=at.date().isoformat(), upper_bound=upper_bound)


def _place(provider: str, base_url: str) -> tuple[str, str]:
    """(the vendor's own name, ``home`` or ``intl``)."""
    host = urlsplit(base_url).hostname or ""
    provider = _NAMES.get(provider, provider)
    account = account_of(provider)
    if account is None or account.name == "openai_compat":
        account = next(
            (each for each in ACCOUNTS.values() if host and host in _hosts(each)), account
        )
    if account is None:
        return provider, "home"
    abroad = urlsplit(account.international).hostname or ""
    return account.name, "intl" if host and host == abroad else "home"


def _hosts(account: Any) -> set[str]:
    return {urlsplit(url).hostname or "-" for url in (account.base_url, account.international)}


_PREFIX = re.compile(
    r"^(models/|publishers/[^/]+/models/|global\.|us\.|eu\.|apac\.|jp\.|au\.|ca\.|in\.|us-gov\.)"
)


def _bare(model: str) -> str:
    """Without the prefixes of a vendor's path, a region, a relay."""
    name = model.lower().strip()
    while True:
        short = _PREFIX.sub("", name)
        if short == name:
            break
        name = short
    return name.rpartition("/")[2].removeprefix("anthropic.").removesuffix("-v1:0")


def _regional(provider: str, model: str) -> Decimal:
    """
    Bedrock's regional profiles cost a tenth more than the global one. Source: AWS price list, read
    2026-11-25.
    """
    if provider != "bedrock" or model.lower().startswith("global."):
        return Decimal(1)
    return Decimal("1.1") if "anthropic." in model.lower() else Decimal(1)


def _of_library(
    provider: str, model: str, prompt: int, completion: int, cached: int, written: int, at: datetime
) -> Cost | None:
    """genai-prices, where it is installed (``aigc-kit[prices]``); it knows dollars alone."""
    try:
        from genai_prices import Usage, __version__, calc_price
    except ImportError:
        return None
    used = Usage(
        input_tokens=prompt,
        output_tokens=completion,
        cache_read_tokens=cached,
        cache_write_tokens=written,
    )
    try:
        found = calc_price(
            used,
            model_ref=model,
            provider_id=_LIBRARY.get(provider, provider),
            genai_request_timestamp=at,
        )
    except (LookupError, ValueError):
        return None
    source = f"genai-prices {__version__}"
    return Cost(found.total_price, "USD", source=source, as_of=at.date().isoformat())


_LIBRARY = {
    "glm": "zhipuai",
    "moonshot": "moonshotai",
    "gemini": "google",
    "bedrock": "aws",
    "xai": "x-ai",
}
"""This package's names -> the library's."""
