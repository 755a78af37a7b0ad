"""
Every error of aigc-kit.

::

    AIGCError
    ├── ConfigurationError (ValueError)      nothing was sent
    │   ├── MissingCredentialError
    │   ├── UnknownProviderError
    │   └── UnsupportedFeatureError
    ├── InvalidInputError (ValueError)       nothing was sent
    │   ├── IdempotencyConflictError
    │   └── ReferenceImageError
    ├── ProviderError                        the vendor, or the way to it, failed
    │   ├── BadRequestError
    │   │   └── ContextLengthExceededError
    │   ├── AuthenticationError
    │   ├── PermissionDeniedError
    │   ├── NotFoundError
    │   ├── QuotaExceededError
    │   ├── RateLimitError
    │   ├── ServerError
    │   ├── ConnectionFailedError (ConnectionError)
    │   │   └── ProviderTimeoutError (TimeoutError)
    │   ├── OutcomeUnknownError
    │   ├── ContentFilterError
    │   ├── NoImageError
    │   ├── InvalidReplyError
    │   └── StreamInterruptedError
    ├── StructuredOutputError
    │   └── OutputTruncatedError
    ├── ToolLoopLimitError
    └── StorageError (OSError)

Errors of SDKs and transports never leave a client; they are the ``__cause__`` of one of these.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

Billed = Literal["no", "unknown", "yes"]


class AIGCError(Exception):
    """
    The root.

    ``provider`` and ``model`` name who was asked and ``request_id`` is the vendor's own; each is
    ``""`` when unknown. ``result`` is what had already been paid for when the error struck, else
    None. ``index`` is the place in a group.
    ``tries``: how often the request was tried, 0 when nothing was sent. ``attempts``: what became
    of each vendor when several were asked, as in a result's ``metadata["attempts"]``. ``messages``:
    the history of a tool loop that it broke. ``cost``: what an image may have cost at most, where
    it is not known whether it was charged; see ``ImageResult.cost``.
    """

    def __init__(
        self, message: str, *, provider: str = "", model: str = "", request_id: str = ""
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.model = model
        self.request_id = request_id
        self.result: Any = None
        self.index: int | None = None
        self.tries = 0
        self.attempts: list[dict[str, Any]] = []
        self.messages: list[dict[str, Any]] = []
        self.cost: Any = None

    @property
    def message(self) -> str:
        return str(self)

    @property
    def hint(self) -> str:
        """
        What the failure means and what to do about it, ``""`` where nothing is known; in English,
        or in Chinese where ``AIGC_KIT_LANG`` or the locale says so.
        """
        return self.hint_in(None)

    def hint_in(self, language: str | None) -> str:
        """``hint`` in ``"en"`` or ``"zh"``."""
        from aigc_kit.hints import hint_for  # a table of texts that few programs read

        found = hint_for(self, language)
        return "" if found is None else str(found)

    def __reduce__(self) -> Any:
        return _rebuild, (type(self), str(self), self.__dict__)


def _rebuild(kind: type[AIGCError], message: str, state: dict[str, Any]) -> AIGCError:
    """Unpickle without the keyword-only arguments that ``Exception.__reduce__`` cannot carry."""
    error = kind.__new__(kind, message)
    error.args = (message,)
    error.__dict__.update(state)
    return error


class ConfigurationError(AIGCError, ValueError):
    """A missing, unknown or contradictory option. Nothing was sent."""


class MissingCredentialError(ConfigurationError):
    """No key, token or project; the message names the variables that would supply it."""


class UnknownProviderError(ConfigurationError):
    """No provider has that name; the message lists those that exist."""


class UnsupportedFeatureError(ConfigurationError):
    """The vendor or the model cannot do this; the message says how to get it."""


class InvalidInputError(AIGCError, ValueError):
    """A size, message, prompt or storage key that no vendor would accept. Nothing was sent."""


class IdempotencyConflictError(InvalidInputError):
    """
    The idempotency key belongs to another request; the message says in what they differ. Nothing
    was paid for.
    """


class ReferenceImageError(InvalidInputError):
    """
    A reference image is unreachable, refused, too large or no image. ``index`` tells which, from 0.
    """

    def __init__(self, message: str, *, index: int | None = None, **context: Any) -> None:
        super().__init__(message, **context)
        self.index = index


class ProviderError(AIGCError):
    """
    The vendor, or the way to it, failed.

    ``status_code`` is the HTTP status (None without a response), ``code`` the vendor's own word,
    ``body`` the decoded error body. ``retryable``: the same request may succeed later.
    ``retry_after``: seconds the vendor asked to wait.
    ``billed``: whether the failed request costs money; when it is not passed, what the class by
    itself proves.
    """

    _billed_by_default: ClassVar[Billed] = "unknown"

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        code: str = "",
        body: Any = None,
        retryable: bool = False,
        retry_after: float | None = None,
        billed: Billed | None = None,
        **context: Any,
    ) -> None:
        super().__init__(message, **context)
        self.status_code = status_code
        self.code = code
        self.body = body
        self.retryable = retryable
        self.retry_after = retry_after
        self.billed: Billed = billed or self._billed_by_default


class BadRequestError(ProviderError):
    """
    The vendor refuses the request as it is (400, 404 of a parameter, 409, 413, 422 and other 4xx).
    """

    _billed_by_default = "no"


class ContextLengthExceededError(BadRequestError):
    """More tokens than the model can read."""


class AuthenticationError(ProviderError):
    """The key is missing, wrong or expired (401)."""

    _billed_by_default = "no"


class PermissionDeniedError(ProviderError):
    """The key is good, but not for this (403)."""

    _billed_by_default = "no"


class NotFoundError(ProviderError):
    """
    No such model or address (404), or a model that was retired or never opened for the account.
    """

    _billed_by_default = "no"


class QuotaExceededError(ProviderError):
    """
    The account is in arrears, out of balance, or over a plan window (402 and kin). Waiting seconds
    will not help.
    """

    _billed_by_default = "no"


class RateLimitError(ProviderError):
    """Too many requests just now (429)."""

    _billed_by_default = "no"


class ServerError(ProviderError):
    """The vendor failed or is overloaded (5xx)."""


class ConnectionFailedError(ProviderError, ConnectionError):
    """The vendor could not be reached, or the connection broke."""


class ProviderTimeoutError(ConnectionFailedError, TimeoutError):
    """The deadline passed."""


class OutcomeUnknownError(ProviderError):
    """
    A paid request left, and no answer tells whether it ran. It is never sent again by itself.

    ``elapsed``: seconds between sending and giving up.
    """

    def __init__(self, message: str, *, elapsed: float = 0.0, **details: Any) -> None:
        super().__init__(message, **{"billed": "unknown", **details})
        self.elapsed = elapsed


class ContentFilterError(ProviderError):
    """
    The vendor's moderation blocked the input or the output. ``reason``: its word; ``text``: what
    the model said.
    """

    def __init__(self, message: str, *, reason: str = "", text: str = "", **details: Any) -> None:
        super().__init__(message, **details)
        self.reason = reason
        self.text = text


class NoImageError(ProviderError):
    """
    The model answered without an image. ``text``: what it said instead; ``reason``: the vendor's
    word.
    """

    def __init__(self, message: str, *, reason: str = "", text: str = "", **details: Any) -> None:
        super().__init__(message, **details)
        self.reason = reason
        self.text = text


class InvalidReplyError(ProviderError):
    """An answer that is not what the vendor promises: no JSON, wrong types, nothing in it."""


class StreamInterruptedError(ProviderError):
    """
    A stream ended before its finish reason. ``partial``: a ``ChatResult`` with everything that had
    come.
    """

    def __init__(self, message: str, *, partial: Any = None, **details: Any) -> None:
        super().__init__(message, **{"retryable": True, "billed": "unknown", **details})
        self.partial = partial


class StructuredOutputError(AIGCError):
    """
    The answer does not satisfy the schema. ``content``: the text; ``violations``: one line for each
    breach.
    """

    def __init__(
        self,
        message: str,
        *,
        content: str = "",
        violations: list[str] | None = None,
        **context: Any,
    ) -> None:
        super().__init__(message, **context)
        self.content = content
        self.violations = violations or []


class OutputTruncatedError(StructuredOutputError):
    """
    The model ran out of tokens in the middle of an answer or a tool call; allow it more
    ``max_tokens``.
    """


class ToolLoopLimitError(AIGCError):
    """
    ``max_iterations`` model calls did not end the tool loop. ``messages``: the history; ``result``:
    the last response.
    """

    def __init__(
        self, message: str, *, messages: list[dict[str, Any]], result: Any, **context: Any
    ) -> None:
        super().__init__(message, **context)
        self.messages = messages
        self.result = result


class StorageError(AIGCError, OSError):
    """
    A store failed, or refused.

    ``key``: the object's key. ``code``: the store's own word. ``result``: the paid ``ImageResult``
    when there is one; ``client.store(error.result)`` finishes it without paying again.
    ``retryable``: the same call may succeed later. ``retry_after``: seconds the store asked to
    wait.
    """

    def __init__(
        self,
        message: str,
        *,
        key: str = "",
        code: str = "",
        retryable: bool = False,
        retry_after: float | None = None,
        **context: Any,
    ) -> None:
        super().__init__(message, **context)
        self.key = key
        self.code = code
        self.retryable = retryable
        self.retry_after = retry_after
