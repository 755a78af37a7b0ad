"""The one reader of the environment; it hands secrets out masked."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from aigc_kit.errors import ConfigurationError, InvalidInputError, MissingCredentialError

LONGEST = 1e7
"""
Seconds of the longest timeout, four months; the clocks of sockets and locks end not far behind it.
"""


class Secret:
    """
    A credential that no repr, traceback or pickle shows.

    A secret that came from a variable is pickled as that variable's name and read again where it is
    unpickled.
    """

    __slots__ = ("_value", "variable")

    def __init__(self, value: str, variable: str = "") -> None:
        self._value = value
        self.variable = variable

    def reveal(self) -> str:
        return self._value

    def current(self) -> Secret:
        """The credential of this moment: itself, where it does not rotate."""
        return self

    def bearer(self) -> Secret:
        """The value of an ``Authorization`` header."""
        return Secret(f"Bearer {self.reveal()}")

    def shown(self) -> tuple[str, ...]:
        """Every value that may stand in a text, to be masked there."""
        return (self._value,)

    def __repr__(self) -> str:
        return f"Secret(from {self.variable})" if self.variable else "Secret('***')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> Any:
        if self.variable:
            return _from_variable, (self.variable,)
        return Secret, (self._value,)


Headers = dict[str, str | Secret]
"""Names of headers to their values."""

_REMEMBERED = 64
"""Keys of a function that are masked in errors: those of requests under way in as many threads."""


class RotatingSecret(Secret):
    """
    A credential that a function of the application returns again for each request; shared by
    threads.
    """

    __slots__ = ("_function", "_recent", "_what")

    def __init__(self, function: Callable[[], Any], what: str) -> None:
        super().__init__("")
        self._function = function
        self._what = what
        self._recent: tuple[str, ...] = ()

    def reveal(self) -> str:
        try:
            value = self._function()
        except Exception as error:
            raise MissingCredentialError(
                f"{self._what} is a function that raised {type(error).__name__}; expected one that returns the key"
            ) from error
        if hasattr(value, "get_secret_value"):
            value = value.get_secret_value()
        if not isinstance(value, str) or not value.strip():
            raise MissingCredentialError(
                f"{self._what} is a function that returned {type(value).__name__}; expected text that is not blank"
            )
        key = _bare_key(value)
        _header_safe(Secret(key), self._what)
        if key not in self._recent:
            self._recent = (key, *self._recent[: _REMEMBERED - 1])
        return key

    def current(self) -> Secret:
        return Secret(self.reveal())

    def shown(self) -> tuple[str, ...]:
        return self._recent

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __reduce__(self) -> Any:
        return RotatingSecret, (self._function, self._what)


_SECRET_NAME = re.compile(r"key|secret|token|password|authorization|cookie", re.IGNORECASE)
_PUBLIC_NAME = re.compile(r"prefix|max_tokens|idempotency", re.IGNORECASE)
_KEY_OPTIONS = (
    "api_key",
    "access_key_id",
    "access_key_secret",
    "secret_access_key",
    "session_token",
    "aws_secret_access_key",
    "aws_session_token",
)


class _Hidden(Secret):
    """A text of the application, for as long as it is in the hands of this library."""

    __slots__ = ()

    def __reduce__(self) -> Any:
        return _Hidden, (self._value,)


def revealed(value: Any) -> Any:
    """What ``hidden`` was given: an application's own provider gets its options as they were."""
    if isinstance(value, _Hidden):
        return value.reveal()
    if isinstance(value, dict):
        return {name: revealed(inner) for name, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(revealed, value))
    return value


def for_factory(factory: Any, options: dict[str, Any]) -> dict[str, Any]:
    """The options as a provider of this package, or of an application, takes them."""
    is_ours = str(getattr(factory, "__module__", "")).partition(".")[0] == "aigc_kit"
    return options if is_ours else {name: revealed(value) for name, value in options.items()}


def hidden(value: Any, name: str = "", within: str = "") -> Any:
    """
    The value with the credentials in it as ``Secret``, detected from their names.

    Args:
        name: the value's own.
        within: the option that it is a part of; there only headers and the options of one provider
            of several are looked at, for a vendor's own fields may have any name.
    """
    if name in ("credentials", "storage_options") and isinstance(value, dict):
        return _Hidden(cast(str, value))
    # A key of a wrong type is hidden too, until it is refused.
    if isinstance(value, (str, bytes, bytearray)):
        return _Hidden(cast(str, value)) if _is_secret(name, value, within) else value
    if within.count(".") > 3:  # options are not that deep; what is, may be a circle
        return value
    inside = f"{within}.{name}" if within or name else ""
    if isinstance(value, dict):
        named = ((key, key if isinstance(key, str) else "") for key in value)
        return {key: hidden(value[key], name, inside) for key, name in named}
    if type(value) in (list, tuple):
        return type(value)(hidden(inner, "", inside or ".") for inner in value)
    return value


def _is_secret(name: str, value: str | bytes | bytearray, within: str) -> bool:
    if within and not within.endswith("headers"):
        return name in _KEY_OPTIONS
    if _PUBLIC_NAME.search(name):
        return False
    if _SECRET_NAME.search(name) or any(
        sorted(name.lower()) == sorted(option) for option in _KEY_OPTIONS
    ):
        return True  # the second are those with two letters in the wrong order
    return "url" in name.lower() and "@" in str(value)


def _from_variable(variable: str) -> Secret:
    return Secret(os.environ.get(variable, "").strip(), variable)


def _bare_key(value: str) -> str:
    """The key without what people paste with it: quotes, ``Bearer``, the whole header."""
    plain = value.strip().strip("'\"").strip()
    for prefix in ("authorization:", "bearer "):
        if plain.lower().startswith(prefix):
            plain = plain[len(prefix) :].strip()
    return plain


def load_dotenv(path: str | os.PathLike[str] | None = None) -> bool:
    """
    Read ``.env`` (the nearest one above the working directory, or ``path``) into the environment.

    Variables that are already set win. Returns whether a file was found. The library never does
    this by itself.
    """
    import dotenv

    return bool(dotenv.load_dotenv(path or dotenv.find_dotenv(usecwd=True)))


def variable(*names: str) -> str:
    """The first of these variables that is set and not blank, else ``""``."""
    for name in names:
        value = os.environ.get(name, "").strip()
        if value:
            return value
    return ""


_PLACEHOLDER = (
    r"""(?i)your[-_ ]?((api|access|secret)[-_ ]?)*(key|token|secret)([-_ ]?(id|here))?"""
    r"""|your[-_ ]?(project|bucket|account|region|profile)([-_ ]?(id|name|here))?"""
    r"""|(sk|key)-(x{3,}|\.{3,}|your.*)|x{3,}|\*{3,}|\.{3,}|change[-_ ]?me|todo|replace[-_ ]?me|<[^<>]*>|\$?\{[^{}]*\}"""
    r"""|/?path/to/.*|https?://(x{3,}|<[^<>]*>|your-?account(-?id)?)\..*|https?://([a-z]+\.)?example\.(com|org|net)/?"""
    r"""|你的.*|填写.*|请.*"""
)
"""
What ``.env.example`` and vendors' pages have where a value of one's own goes. Compiled at first
use: that is slow, and an import needs none of it.
"""


def is_placeholder(value: str) -> bool:
    """Whether this is a value that was never filled in, as in a copy of ``.env.example``."""
    return re.fullmatch(_PLACEHOLDER, _bare_key(value)) is not None


def _unfilled(names: Iterable[str]) -> str:
    """``"; X_KEY still has the placeholder 'your-key'"`` where one of the variables has one, else ``""``."""
    found = [
        f"{name} still has the placeholder {variable(name)!r}"
        for name in names
        if is_placeholder(variable(name))
    ]
    return f"; {', '.join(found)}, which is not a key" if found else ""


def missing_credential(message: str, *names: str) -> MissingCredentialError:
    """The error, with the variables among ``names`` that have a placeholder instead of a key."""
    return MissingCredentialError(message + _unfilled(names))


def option(explicit: str | None, *names: str, default: str = "") -> str:
    """An option as given, else from the first variable that is set, else ``default``."""
    if explicit is None:
        return variable(*names) or default
    found: str = text(explicit, next(filter(None, map(_option_of, names)), "an option"))
    return found


_OPTIONS = ("base_url", "model", "region", "location", "project", "profile", "endpoint", "bucket")


def _option_of(variable: str) -> str:
    """``"model"`` of ``"DEEPSEEK_MODEL"``."""
    word = variable.lower()
    return next((option for option in _OPTIONS if word.endswith(option)), "")


def text(value: Any, name: str) -> Any:
    """
    Raises:
        ConfigurationError: neither None nor a printable text.
    """
    if isinstance(value, Secret):
        raise ConfigurationError(
            f"{name} must not contain a user name and a password: pass api_key"
        )
    if value is not None and (not isinstance(value, str) or not value.isprintable()):
        raise ConfigurationError(f"{name} must be a printable text, got {spelled(value)}")
    return value


def spelled(value: Any) -> str:
    """The value as a message shows it: never too long, and never a failure of its own."""
    try:
        shown = repr(value)
    except Exception:  # noqa: BLE001 - huge integers, deep lists, objects that cannot be shown
        return f"a {type(value).__name__}"
    return shown if len(shown) <= 200 else shown[:197] + "..."


_FRAMING = frozenset(
    {"content-length", "transfer-encoding", "connection", "expect", "upgrade", "te", "trailer"}
)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?|")


def headers(value: Any, what: str = "extra_headers") -> Headers | None:
    """
    The headers, those that carry credentials as ``Secret``.

    Raises:
        InvalidInputError: a name or a value that HTTP cannot carry.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"{what} must map names to str, got {type(value).__name__}")
    plain = {
        name: content.reveal() if isinstance(content, Secret) else content
        for name, content in value.items()
    }
    for name, content in plain.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise InvalidInputError(
                f"{what} has the name {spelled(name)}, which no header can have"
            )
        if name.lower() in _FRAMING:
            raise InvalidInputError(f"{what} has {name!r}, which the HTTP library itself sets")
        if not isinstance(content, str) or not _HEADER_VALUE.fullmatch(content):
            raise InvalidInputError(f"{what} has a value for {name!r} that no header can carry")
    return {
        name: Secret(text) if _SECRET_HEADER.search(name) else text for name, text in plain.items()
    } or None


_SECRET_HEADER = re.compile(r"key|secret|token|password|auth|cookie|credential", re.IGNORECASE)


def secrets_in(headers: Headers | None) -> tuple[Secret, ...]:
    """
    What of these headers must be masked in errors: credentials, with and without their scheme.
    """
    if not headers:
        return ()
    found = [value.reveal() for value in headers.values() if isinstance(value, Secret)]
    return tuple(Secret(part) for value in found for part in (value, value.rpartition(" ")[2]))


def credential(explicit: Any, *names: str, what: str, rotating: bool = False) -> Secret:
    """
    A credential as given, else from the first variable that is set.

    Raises:
        MissingCredentialError: there is none; the message names ``names``.
    """
    found = optional_credential(explicit, *names, what=what, rotating=rotating)
    if found is None:
        raise missing_credential(
            f"{what} is missing: pass it explicitly or set {' or '.join(names)}", *names
        )
    return found


def optional_credential(
    explicit: Any, *names: str, what: str, rotating: bool = False
) -> Secret | None:
    """
    Like ``credential``, with None where there is none. A variable with a placeholder has none.

    Args:
        rotating: whether it may be a function, asked again for each request.
    """
    if explicit is not None:
        return _explicit(explicit, names, what, rotating=rotating)
    for name in names:
        if variable(name) and not is_placeholder(variable(name)):
            return _header_safe(Secret(_bare_key(variable(name)), name), f"{what} from {name}")
    return None


def _explicit(explicit: Any, names: tuple[str, ...], what: str, *, rotating: bool) -> Secret:
    given = explicit
    if hasattr(given, "get_secret_value"):  # pydantic's SecretStr
        given = given.get_secret_value()
    if isinstance(given, RotatingSecret):
        return given
    if rotating and callable(given) and not isinstance(given, (str, Secret, type)):
        return RotatingSecret(given, what)
    if not isinstance(given, Secret):
        given = Secret(given)
    del explicit  # no local of a frame shows a key
    # The type first: vendors answer a key of the wrong type with a type error deep inside an SDK.
    if not isinstance(given.reveal(), str) or not given.reveal().strip():
        raise MissingCredentialError(
            f"{what} must be text that is not blank, or pydantic's SecretStr"
            + (", or a function that returns it" if rotating else "")
            + f"; got {type(given.reveal()).__name__}"
            + (f"; leave it out to use {' or '.join(names)}" if names else "")
        )
    return _header_safe(Secret(_bare_key(given.reveal()), given.variable), what)


def _header_safe(secret: Secret, what: str) -> Secret:
    """Keys travel in a header: refuse what cannot, without showing it."""
    if not secret.reveal().isascii() or not secret.reveal().isprintable():
        raise MissingCredentialError(
            f"{what} has characters that no key has (not printable ASCII); copy it again"
        )
    return secret


def seconds(value: float | str | None, *names: str, default: float) -> float:
    """
    A time span in seconds: as given, else from the first variable that is set, else ``default``.

    Raises:
        ConfigurationError: not a number above 0 and up to ``LONGEST``.
    """
    given = value if value is not None else variable(*names) or default
    try:
        number = float(given)
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if isinstance(given, bool) or not 0 < number <= LONGEST:
        source = "" if value is not None or not names else f" (from {' or '.join(names)})"
        raise ConfigurationError(
            f"timeout must be seconds above 0 and at most {LONGEST:.0f}, got {spelled(given)}{source}"
        )
    return number


def switch(value: Any, name: str) -> bool:
    """
    An option that is on or off: "false" from a file or a variable would be on.

    Raises:
        ConfigurationError: neither True nor False.
    """
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False, got {spelled(value)}")
    return value


def whole_number(value: Any, *, name: str, minimum: int = 0) -> int:
    """
    An option that counts something.

    Raises:
        ConfigurationError: not a whole number of at least ``minimum``.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ConfigurationError(
            f"{name} must be a whole number of at least {minimum}, got {spelled(value)}"
        )
    return value


def base_url(explicit: str | None, *names: str, default: str = "") -> str:
    """
    The address of an API without a trailing slash: as given, else from a variable, else
    ``default``.

    Raises:
        ConfigurationError: not an http(s) address.
    """
    from urllib.parse import urlsplit

    given = variable(*names) or default if explicit is None else text(explicit, "base_url")
    address = given.strip().rstrip("/")
    try:
        parts = urlsplit(address)
        good = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and "@" not in parts.netloc
            and parts.port != 0
        )
        good = good and not ("?" in address or "#" in address)  # a path is put behind it
    except ValueError:
        good = False
    if not good or any(c.isspace() or ord(c) < 33 for c in address):
        raise ConfigurationError(
            "base_url must be an http(s) address like 'https://api.example.com/v1', without query, fragment or credentials;"
            f" got {_without_secrets(address)!r}"
        )
    return address


def in_region(region: str | None, home: str, international: str, *, what: str) -> str:
    """
    The vendor's own URL in a region: ``"cn"`` (the default) or ``"intl"``, outside of China.

    Raises:
        ConfigurationError: another region, or one that the vendor does not have.
    """
    if region is None or region == "cn":
        return home
    if region != "intl":
        raise ConfigurationError(f"region must be 'cn' or 'intl', got {spelled(region)}")
    if not international:
        raise ConfigurationError(f"{what} has no region='intl': leave region out, or pass base_url")
    return international


def _without_secrets(address: str) -> str:
    """Without user, password, query and fragment."""
    head, sep, tail = address.rpartition("@")
    shown = f"***@{tail}" if sep and head else address
    cut = min((place for place in map(shown.find, "?#") if place >= 0), default=len(shown))
    return shown[: cut + 1] + ("***" if cut + 1 < len(shown) else "")


def suggestion(name: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` where one of the known names is close, else ``""``."""
    import difflib

    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.7)
    return f"; did you mean {found[0]!r}?" if found else ""


def reject_unknown(options: Mapping[str, Any], *, known: list[str], what: str) -> None:
    """
    Refuse unknown options.

    Raises:
        ConfigurationError: names the unknown ones and those that exist.
    """
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ConfigurationError(
            f"{what} has no option {', '.join(map(repr, unknown))}; it has: {', '.join(known)}"
            f"{suggestion(unknown[0], known)}"
        )
