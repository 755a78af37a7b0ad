"""One call as every dialect sees it: checked texts and options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from aigc_kit import settings
from aigc_kit.embedding import estimate, vectors
from aigc_kit.embedding.base import warning
from aigc_kit.embedding.rows import INPUT_TYPES, Model
from aigc_kit.errors import ConfigurationError, InvalidInputError, UnsupportedFeatureError
from aigc_kit.settings import Secret, spelled, suggestion
from aigc_kit.transport.deadline import Deadline
from aigc_kit.transport.retry import Policy

TIMEOUT = 600.0
"""Seconds for one call; thousands of texts are many requests."""
CONCURRENCY = 4
"""Requests of one call at the same time. Vendors limit tokens per minute, not connections."""
MOST_CONCURRENT = 64

_OF_A_CALL = ("timeout", "max_retries", "batch_size", "concurrency", "family")
_ENCODINGS = ("float", "base64")


@dataclass
class CallOptions:
    """
    How long, how often and in what portions texts are sent.

    ``batch_size``: texts of one request at most; None: what the model takes. ``family``: the model's
    name for the rules that go by it, where the real name does not tell (a deployment, an ARN).
    """

    policy: Policy
    batch_size: int | None = None
    concurrency: int = CONCURRENCY
    dimensions: int | None = None
    encoding_format: str | None = None
    family: str = ""
    headers: settings.Headers | None = field(default=None, repr=False)

    NAMES: ClassVar[list[str]] = [
        "api_key",
        "model",
        "base_url",
        "dimensions",
        "timeout",
        "max_retries",
        "batch_size",
        "concurrency",
        "encoding_format",
        "family",
        "default_headers",
    ]

    @classmethod
    def read(
        cls,
        *,
        timeout: Any = None,
        max_retries: Any = 2,
        batch_size: Any = None,
        concurrency: Any = CONCURRENCY,
        dimensions: Any = None,
        encoding_format: Any = None,
        family: Any = None,
        default_headers: Any = None,
        variables: Iterable[str] = (),
    ) -> CallOptions:
        """
        Args:
            variables: of the timeout, where none is given.

        Raises:
            ConfigurationError: one of them makes no sense.
        """
        for name, value in (("batch_size", batch_size), ("dimensions", dimensions)):
            if value is not None:
                settings.whole_number(value, name=name, minimum=1)
        settings.whole_number(concurrency, name="concurrency", minimum=1)
        if concurrency > MOST_CONCURRENT:
            raise ConfigurationError(
                f"concurrency must be at most {MOST_CONCURRENT}, got {spelled(concurrency)}"
            )
        if encoding_format is not None and encoding_format not in _ENCODINGS:
            raise ConfigurationError(
                f"encoding_format must be 'float' or 'base64', got {spelled(encoding_format)}"
            )
        return cls(
            Policy(
                settings.seconds(timeout, *variables, default=TIMEOUT),
                settings.whole_number(max_retries, name="max_retries"),
            ),
            batch_size,
            concurrency,
            dimensions,
            encoding_format,
            settings.text(family, "family") or "",
            settings.headers(default_headers, "default_headers"),
        )

    def for_call(self, given: dict[str, Any]) -> CallOptions:
        """These options with what one call says; takes it out of ``given``."""
        names = (*_OF_A_CALL, "dimensions", "encoding_format")
        named = {name: given.pop(name, None) for name in names}
        said = {name: value for name, value in named.items() if value is not None}
        if not said:
            return self
        before = {
            "timeout": self.policy.timeout,
            "max_retries": self.policy.max_retries,
            "batch_size": self.batch_size,
            "concurrency": self.concurrency,
            "dimensions": self.dimensions,
            "encoding_format": self.encoding_format,
            "family": self.family,
        }
        return replace(CallOptions.read(**before | said), headers=self.headers)


@dataclass(repr=False)
class Call:
    """
    A checked call.

    ``numpy``: the module, where arrays are wanted. ``extra``: the vendor's own fields;
    ``extra_body`` goes last.
    """

    model: str
    provider: str
    options: CallOptions
    texts: list[str] = field(default_factory=list[str])
    input_type: str = ""
    normalize: bool = False
    numpy: Any = None
    extra: dict[str, Any] = field(default_factory=dict[str, Any])
    extra_body: dict[str, Any] = field(default_factory=dict[str, Any])
    headers: settings.Headers | None = None
    warnings: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    deadline: Deadline = field(default_factory=lambda: Deadline.after(TIMEOUT))

    @classmethod
    def read(cls, given: dict[str, Any], options: CallOptions, model: str, provider: str) -> Call:
        """
        The options of a call, without its texts.

        Raises:
            InvalidInputError, ConfigurationError: something in it cannot be meant.
        """
        given = dict(given)
        own = options.for_call(given)
        extra_body, headers = given.pop("extra_body", None), given.pop("extra_headers", None)
        if extra_body is not None and not isinstance(extra_body, Mapping):
            raise InvalidInputError(f"extra_body must be a dict, got {type(extra_body).__name__}")
        if isinstance(extra_body, Mapping) and not all(isinstance(key, str) for key in extra_body):
            raise InvalidInputError("extra_body must have str keys")
        _refuse_texts(extra_body or {})
        name = given.pop("model", None) or model
        if not isinstance(name, str) or not name.isprintable():
            raise InvalidInputError(f"model must be a printable text, got {spelled(name)}")
        if not name:
            raise ConfigurationError(f"model is missing: {provider} has no default, pass model=")
        input_type = given.pop("input_type", None) or ""
        if input_type and input_type not in INPUT_TYPES:
            raise InvalidInputError(
                f"input_type must be one of {', '.join(map(repr, INPUT_TYPES))}, got {spelled(input_type)}"
            )
        call = cls(
            name,
            provider,
            own,
            input_type=input_type,
            normalize=settings.switch(given.pop("normalize", False), "normalize"),
            numpy=vectors.checked_numpy()
            if settings.switch(given.pop("as_numpy", False), "as_numpy")
            else None,
            extra_body=dict(extra_body or {}),
            headers={**(own.headers or {}), **(settings.headers(headers) or {})} or None,
            deadline=Deadline.after(own.policy.timeout),
        )
        _refuse_misspelt(given)
        _refuse_texts(given)
        call.extra = {name: value for name, value in given.items() if value is not None}
        return call

    @property
    def rules(self) -> str:
        """The model's name for the rules that go by it."""
        return self.options.family or self.model

    @property
    def dimensions(self) -> int | None:
        """Numbers of a vector that are asked for."""
        return self.options.dimensions

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Credentials among the headers."""
        return settings.secrets_in(self.headers)

    def warn(self, feature: str, details: str) -> None:
        entry = warning(feature, details)
        if entry not in self.warnings:
            self.warnings.append(entry)

    def take(self, texts: Any, facts: Model) -> None:
        """
        The texts, and whether the model can do what is asked of it.

        Raises:
            InvalidInputError: a text is blank, is not a text, or is certainly too long.
            UnsupportedFeatureError: the model has no vectors of that size.
        """
        self.texts = checked_texts(texts, "texts")
        self._check_dimensions(facts)
        self._check_lengths(facts)
        if self.input_type and not facts.kinds:
            self.warn(
                "input_type", f"{self.model} makes no difference between kinds of input: left out"
            )

    def _check_dimensions(self, facts: Model) -> None:
        wanted = self.dimensions
        if wanted is None:
            return
        if wanted == facts.size:
            if facts.is_fixed:  # ada-002 refuses the field even with the right value
                self.options = replace(self.options, dimensions=None)
            return
        if facts.is_fixed:
            raise UnsupportedFeatureError(
                f"dimensions={wanted}: {self.model} has vectors of {facts.size} numbers only; leave dimensions out"
            )
        if facts.sizes:
            if wanted not in facts.sizes:
                raise UnsupportedFeatureError(
                    f"dimensions={wanted}: {self.model} has {', '.join(map(str, sorted(facts.sizes)))}"
                )
        elif facts.size and not facts.smallest <= wanted <= facts.size:
            raise UnsupportedFeatureError(
                f"dimensions={wanted}: {self.model} has {facts.smallest} to {facts.size}"
            )
        if facts.is_unit == "full size" and not self.normalize:
            self.warn(
                "normalize",
                f"vectors of {self.model} with fewer than {facts.size} numbers do not have length 1: pass normalize=True",
            )

    def _check_lengths(self, facts: Model) -> None:
        if not facts.text_tokens:
            return
        long: list[int] = []
        for place, text in enumerate(self.texts):
            if len(text) <= facts.text_tokens // 3:  # no tokenizer makes three of one character
                continue
            if estimate.at_least(text) > facts.text_tokens:
                raise _bad(
                    f"texts[{place}] has {len(text)} characters, more than the {facts.text_tokens} tokens that {self.model} reads: split it",
                    place,
                )
            if estimate.at_most(text) > facts.text_tokens:
                long.append(place)
        if long:
            others = f" and {len(long) - 1} others" if len(long) > 1 else ""
            self.warn(
                "texts",
                f"texts[{long[0]}]{others} may have more than the {facts.text_tokens} tokens that {self.model} reads",
            )


def check_encoding(given: Any, provider: str) -> None:
    """
    Raises:
        UnsupportedFeatureError: base64, of a vendor that has numbers alone.
    """
    if given not in (None, "float"):
        raise UnsupportedFeatureError(
            f"encoding_format={spelled(given)}: {provider} sends numbers only"
        )


def checked_texts(texts: Any, name: str) -> list[str]:
    """
    Raises:
        InvalidInputError: not a collection of texts, or one of them is blank.
    """
    if isinstance(texts, (str, bytes, Mapping)) or not isinstance(texts, Iterable):
        raise InvalidInputError(
            f"{name} must be a list of str, got {type(texts).__name__}; for one text pass a list of one"
        )
    found = list(texts)
    for place, text in enumerate(found):
        if not isinstance(text, str):
            raise _bad(f"{name}[{place}] must be a str, got {type(text).__name__}", place)
        if not text.strip():
            raise _bad(f"{name}[{place}] is blank, which vendors refuse: leave it out", place)
        if not text.isascii() and not _is_unicode(text):
            raise _bad(f"{name}[{place}] is not valid Unicode: it has a lone surrogate", place)
    return [str(text) for text in found]


def _bad(message: str, place: int) -> InvalidInputError:
    error = InvalidInputError(message)
    error.index = place
    return error


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


_OURS = (
    "model",
    "dimensions",
    "input_type",
    "normalize",
    "as_numpy",
    "encoding_format",
    "extra_body",
    "extra_headers",
    *_OF_A_CALL,
)
_OF_A_CLIENT = frozenset({"api_key", "base_url", "default_headers", "region"})
_OTHER_NAMES = {
    "input": "texts",
    "dimension": "dimensions",
    "output_dimension": "dimensions",
    "output_dimensionality": "dimensions",
    "text_type": "input_type",
    "kind": "input_type",
    "normalise": "normalize",
    "normalized": "normalize",
    "numpy": "as_numpy",
    "chunk_size": "batch_size",
}
"""Names of other libraries and of vendors for options of ours."""


_TEXTS = ("input", "texts", "inputText", "query", "documents")
"""What vendors call the texts of a request."""


def _refuse_texts(fields: Mapping[str, Any]) -> None:
    """
    Raises:
        ConfigurationError: texts beside those of the call, which would get their vectors.
    """
    for name in _TEXTS:
        if name in fields:
            raise ConfigurationError(
                f"{name!r} cannot be a field of the vendor's: the texts are the first argument"
            )


def _refuse_misspelt(given: Mapping[str, Any]) -> None:
    """
    Refuse options of a client, and names that are an option of ours with a slip: they would be sent
    to the vendor, a key among them.

    Raises:
        ConfigurationError: names the right one.
    """
    for name in given:
        if name in _OF_A_CLIENT:
            raise ConfigurationError(
                f"{name!r} is an option of EmbeddingClient, not of a call: pass it to EmbeddingClient(...)"
            )
        meant = _OTHER_NAMES.get(name)
        hint = f"; did you mean {meant!r}?" if meant else suggestion(name, (*_OURS, *_OF_A_CLIENT))
        if hint and len(name) > 4:
            raise ConfigurationError(
                f"{name!r} is not an option{hint} (a field of the vendor's goes into extra_body)"
            )
