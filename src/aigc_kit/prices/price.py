"""What a row of a price table can say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal

from aigc_kit.errors import ConfigurationError
from aigc_kit.settings import spelled

Number = Decimal | str | int
MILLION = Decimal(1_000_000)


@dataclass(frozen=True)
class Rates:
    """
    Money for a million tokens.

    ``cached``: read from a cache; unset: like ``input``. ``cache_write``: written to one; unset:
    like ``input``. ``cache_write_long``: for its longer lifetime. Text in decimal digits is exact, a float is not taken.
    """

    input: Number
    output: Number = 0
    cached: Number | None = None
    cache_write: Number | None = None
    cache_write_long: Number | None = None

    @property
    def tells_long_writes(self) -> bool:
        """Whether it is known what a cache of the longer lifetime costs."""
        return self.cache_write_long is not None or self.cache_write is None

    def cost(
        self, prompt: int, completion: int, cached: int, written: int, written_long: int = 0
    ) -> Decimal:
        """
        Args:
            prompt: all tokens of the request, those of the cache included.
            written: all that were written to the cache, ``written_long`` included.
        """
        own = Decimal(self.input)
        read = own if self.cached is None else Decimal(self.cached)
        wrote = own if self.cache_write is None else Decimal(self.cache_write)
        kept = wrote if self.cache_write_long is None else Decimal(self.cache_write_long)
        long = min(written_long, written)
        plain = max(prompt - cached - written, 0)
        spent = plain * own + cached * read + (written - long) * wrote + long * kept
        return (spent + completion * Decimal(self.output)) / MILLION


@dataclass(frozen=True)
class Peak:
    """Hours of a week, in UTC: ``hours`` (from, to) on ``weekdays`` (0 is Monday)."""

    hours: tuple[tuple[int, int], ...]
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4)

    def holds(self, at: datetime) -> bool:
        at = at.astimezone(UTC)
        return at.weekday() in self.weekdays and any(
            start <= at.hour < end for start, end in self.hours
        )


@dataclass(frozen=True, kw_only=True)
class Price:
    """
    The price of tokens of a chat or embedding model.

    - ``models``: a regular expression of the whole name, in lower case, without prefixes.
    - ``region``: ``"intl"`` where it holds for the vendor's international base URL alone, ``"home"``
      for its own, ``""`` for both.
    - ``long``: (tokens, rates): the whole request costs these from so many prompt tokens on.
    - ``peak``: (hours, rates) that cost more.
    - ``factors``: what a service tier of the response multiplies.
    - ``since``, ``until``: days, the first inclusive, the second exclusive.
    """

    provider: str
    models: str
    rates: Rates
    currency: str = "USD"
    region: str = ""
    long: tuple[int, Rates] | None = None
    peak: tuple[Peak, Rates] | None = None
    factors: Mapping[str, Number] = field(default_factory=dict[str, Number])
    since: date | None = None
    until: date | None = None
    source: str = ""
    as_of: str = ""

    def fits(self, provider: str, model: str, *, region: str, at: datetime) -> bool:
        """Whether the row is the price of this model there at that time."""
        day = at.date()
        return (
            self.provider == provider
            and self.region in ("", region)
            and re.fullmatch(self.models, model) is not None
            and (self.since is None or day >= self.since)
            and (self.until is None or day < self.until)
        )

    def rates_for(self, prompt: int, at: datetime) -> Rates:
        """The whole request is at the higher rate, not only what is above."""
        if self.long is not None and prompt > self.long[0]:
            return self.long[1]
        if self.peak is not None and self.peak[0].holds(at):
            return self.peak[1]
        return self.rates


@dataclass(frozen=True, kw_only=True)
class ImagePrice:
    """
    The price of an image model: by image, or by the tokens of its usage.

    - ``each``: (pixels, price) in rising order; the price holds up to so many pixels, None: any.
    - ``reference``: of each reference image behind the first ``free_references``.
    - ``output``: for a million tokens of images; ``output_text``: of text and thoughts beside them;
      ``input``: of the prompt's text; ``input_image``: of reference images.
    - ``most``, ``most_reference``: the most that an image and a reference can cost, where they are
      billed by tokens: the largest image, the longest prompt, text and thoughts.
    """

    provider: str
    models: str
    currency: str = "USD"
    each: tuple[tuple[int | None, Number], ...] = ()
    reference: Number = 0
    free_references: int = 0
    input: Number | None = None
    input_image: Number | None = None
    output: Number | None = None
    output_text: Number | None = None
    most: Number | None = None
    most_reference: Number = 0
    region: str = ""
    source: str = ""
    as_of: str = ""

    def fits(self, provider: str, model: str, *, region: str) -> bool:
        """Whether the row is the price of this model there."""
        return (
            self.provider == provider
            and self.region in ("", region)
            and re.fullmatch(self.models, model) is not None
        )

    def at_most(self, references: int, pixels: int = 0) -> Decimal | None:
        """The bound of one image, of any size where ``pixels`` is 0, with all references of its request."""
        if self.most is None:
            return self.of_image(pixels)
        found = self.of_image(pixels) if pixels else None
        bound = Decimal(self.most) if found is None else found
        return bound + Decimal(self.most_reference) * references

    def of_image(self, pixels: int) -> Decimal | None:
        """By pixels; of an unknown size the highest one."""
        for most, price in self.each:
            if pixels and (most is None or pixels <= most):
                return Decimal(price)
        return Decimal(self.each[-1][1]) if self.each and not pixels else None


def check(price: object) -> None:
    """
    Raises:
        ConfigurationError: not a row, or one with a member that makes no sense: it would be looked at
            behind a payment.
    """
    if not isinstance(price, (Price, ImagePrice)):
        raise ConfigurationError(
            f"a Price or an ImagePrice was expected, got {type(price).__name__}"
        )
    kind = type(price).__name__
    if not isinstance(price.provider, str) or not price.provider.strip():
        raise ConfigurationError(
            f"{kind}: provider must be the name of one, got {spelled(price.provider)}"
        )
    if not isinstance(price.currency, str) or not re.fullmatch(r"[A-Z]{3}", price.currency):
        raise ConfigurationError(
            f"{kind}: currency must be three letters such as 'CNY', got {spelled(price.currency)}"
        )
    try:
        re.compile(price.models)
    except (re.error, TypeError) as error:
        raise ConfigurationError(
            f"{kind}: models must be a regular expression, got {spelled(price.models)}: {error}"
        ) from None
    for name, value in _numbers_of(price):
        _check_number(f"{kind}: {name}", value)


def _numbers_of(price: Price | ImagePrice) -> Iterator[tuple[str, object]]:
    if isinstance(price, ImagePrice):
        names = ("reference", "input", "input_image", "output", "output_text", "most")
        yield from ((name, getattr(price, name)) for name in (*names, "most_reference"))
        yield from (("each", entry[1]) for entry in price.each)
        return
    rates = [("rates", price.rates)]
    rates += [("long", price.long[1])] if price.long else []
    rates += [("peak", price.peak[1])] if price.peak else []
    for name, each in rates:
        if not isinstance(each, Rates):
            raise ConfigurationError(f"Price: {name} must be Rates(...), got {spelled(each)}")
        yield from ((f"{name}.{field}", value) for field, value in vars(each).items())
    yield from ((f"factors[{tier!r}]", factor) for tier, factor in price.factors.items())


def _check_number(name: str, value: object) -> None:
    if value is None:
        return
    try:
        given = isinstance(value, (str, int, Decimal)) and not isinstance(value, bool)
        good = given and Decimal(value).is_finite() and Decimal(value) >= 0  # type: ignore[arg-type]
    except ArithmeticError:
        good = False
    if not good:
        raise ConfigurationError(
            f"{name} must be a number of at least 0 as text, such as '0.25', got {spelled(value)}"
        )
