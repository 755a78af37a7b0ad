"""The house: what is imported when, the face, the errors' tree, settings."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import aigc_kit
from aigc_kit import errors, settings
from aigc_kit.errors import AIGCError, ConfigurationError, MissingCredentialError

HEAVY = [
    "numpy",
    "openai",
    "google.genai",
    "google.auth",
    "boto3",
    "botocore",
    "httpx",
    "httpx2",
    "pydantic",
    "PIL",
    "urllib3",
]


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_import_loads_no_sdk() -> None:
    """``import aigc_kit`` and naming the clients leave every SDK and transport library alone."""
    code = f"import sys, aigc_kit\nfrom aigc_kit import EmbeddingClient, ImageClient, ImageResult\nprint([m for m in {HEAVY} if m in sys.modules])"
    assert run(code) == "[]"


def test_one_vendor_does_not_load_another() -> None:
    """A volcengine client loads neither boto3 nor google-genai nor openai."""
    code = (
        "import sys\nfrom aigc_kit import ImageClient\nImageClient('volcengine', api_key='k').close()\n"
        "print([m for m in ['openai', 'google.genai', 'boto3'] if m in sys.modules])"
    )
    assert run(code) == "[]"


@pytest.mark.parametrize("name", aigc_kit.__all__)
def test_every_public_name_is_there(name: str) -> None:
    """Each name in ``__all__`` can be had, and is documented."""
    assert inspect.getdoc(getattr(aigc_kit, name))


def test_an_unknown_name_is_an_attribute_error() -> None:
    """The lazy face does not invent names."""
    with pytest.raises(AttributeError, match="nonsense"):
        aigc_kit.nonsense  # noqa: B018
    assert "ImageClient" in dir(aigc_kit)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """Every error class stands in the module's drawing, below its parent."""
    drawn: dict[str, str] = {}
    stack: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        name = line.lstrip(" │├└─").split(" ")[0]
        if not name.endswith("Error"):
            continue
        depth = line.index(name)
        while stack and stack[-1][0] >= depth:
            stack.pop()
        drawn[name] = stack[-1][1] if stack else "Exception"
        stack.append((depth, name))
    real = {
        name: kind.__mro__[1].__name__
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, AIGCError)
    }
    assert real == drawn


@pytest.mark.parametrize(
    ("kind", "twin"),
    [
        ("ConfigurationError", ValueError),
        ("InvalidInputError", ValueError),
        ("ConnectionFailedError", ConnectionError),
        ("ProviderTimeoutError", TimeoutError),
        ("StorageError", OSError),
    ],
)
def test_errors_have_their_builtin_twins(kind: str, twin: type[Exception]) -> None:
    """Who catches the builtin catches ours."""
    assert issubclass(getattr(errors, kind), twin)


def test_errors_survive_pickling() -> None:
    """An error that crosses a process border keeps class, message and fields."""
    error = errors.OutcomeUnknownError(
        "lost", elapsed=3.5, provider="volcengine", model="m", request_id="r"
    )
    error.index = 2
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.__dict__) == (type(error), "lost", error.__dict__)
    assert copy.billed == "unknown"


def test_credentials_come_from_the_first_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Explicit wins, then the variables in order; the message names them all."""
    with pytest.raises(MissingCredentialError, match="set FIRST_KEY or SECOND_KEY"):
        settings.credential(None, "FIRST_KEY", "SECOND_KEY", what="the key")
    monkeypatch.setenv("SECOND_KEY", "two")
    assert settings.credential(None, "FIRST_KEY", "SECOND_KEY", what="the key").reveal() == "two"
    monkeypatch.setenv("FIRST_KEY", " one ")
    assert settings.credential(None, "FIRST_KEY", "SECOND_KEY", what="the key").reveal() == "one"
    assert settings.credential("mine", "FIRST_KEY", what="the key").reveal() == "mine"


def test_a_placeholder_of_env_example_is_not_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next variable is used; without one the message says what was left as it was."""
    monkeypatch.setenv("FIRST_KEY", "your-api-key")
    with pytest.raises(
        MissingCredentialError, match="FIRST_KEY still has the placeholder 'your-api-key'"
    ):
        settings.credential(None, "FIRST_KEY", "SECOND_KEY", what="the key")
    monkeypatch.setenv("SECOND_KEY", "two")
    assert settings.credential(None, "FIRST_KEY", "SECOND_KEY", what="the key").reveal() == "two"
    monkeypatch.delenv("SECOND_KEY")
    assert settings.optional_credential(None, "FIRST_KEY", what="the key") is None


def test_every_key_of_env_example_is_a_placeholder() -> None:
    """A copy that was not filled in must not reach a vendor."""
    text = (Path(__file__).parents[1] / ".env.example").read_text("utf-8")
    keys = {
        name: value
        for name, _, value in (line.lstrip("# ").partition("=") for line in text.splitlines())
        if name.endswith(("_KEY", "_KEY_ID", "_SECRET", "_BEDROCK", "_CREDENTIALS", "_PROJECT"))
    }
    assert len(keys) > 10
    assert {name: value for name, value in keys.items() if not settings.is_placeholder(value)} == {}


@pytest.mark.parametrize(
    "value",
    [
        "sk-proj-1234567890abcdef",
        "AKIAIOSFODNN7EXAMPLE",
        "key-1",
        "id.secret",
        "sandbox-key",
        "EMPTY",
        "ollama",
        "your-api-key-of-the-relay-8f2c",
        "https://assets.shop.example.cn",
    ],
)
def test_what_somebody_chose_is_not_a_placeholder(value: str) -> None:
    assert not settings.is_placeholder(value)


@pytest.mark.parametrize("bad", ["", "  ", 5, "k\ney", "ключ"])
def test_unusable_credentials_are_refused_without_showing_them(bad: object) -> None:
    """Blank, of the wrong type, or not fit for a header."""
    with pytest.raises(MissingCredentialError) as caught:
        settings.credential(bad, "X_KEY", what="the key")  # type: ignore[arg-type]
    assert "ключ" not in str(caught.value)


def test_secrets_hide(monkeypatch: pytest.MonkeyPatch) -> None:
    """No repr shows a secret; one from the environment is pickled as the variable's name only."""
    monkeypatch.setenv("X_KEY", "canary-1")
    secret = settings.credential(None, "X_KEY", what="the key")
    assert "canary" not in repr(secret) + repr(settings.Secret("canary-2"))
    stored = pickle.dumps(secret)
    assert b"canary" not in stored
    monkeypatch.setenv("X_KEY", "canary-3")
    assert pickle.loads(stored).reveal() == "canary-3"
    assert pickle.loads(pickle.dumps(settings.Secret("plain"))) == settings.Secret("plain")
    assert len({secret, settings.Secret("canary-1")}) == 1


@pytest.mark.parametrize("bad", [0, -1, "soon", float("nan"), float("inf"), True])
def test_bad_timeouts_are_refused(bad: object) -> None:
    """A timeout is seconds above 0."""
    with pytest.raises(ConfigurationError, match="timeout must be seconds above 0"):
        settings.seconds(bad, default=1.0)  # type: ignore[arg-type]


def test_timeouts_come_from_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable holds seconds; a bad one is named."""
    monkeypatch.setenv("X_SECS", "2.5")
    assert settings.seconds(None, "X_SECS", default=1.0) == 2.5
    assert settings.seconds(None, "Y_SECS", default=1.0) == 1.0
    monkeypatch.setenv("X_SECS", "soon")
    with pytest.raises(ConfigurationError, match="X_SECS"):
        settings.seconds(None, "X_SECS", default=1.0)


@pytest.mark.parametrize(
    "bad", ["api.example.com", "ftp://x", "https://", "https://a b", "https://u:p@h", "http://h:x"]
)
def test_bad_base_urls_are_refused(bad: str) -> None:
    """Only a plain http(s) address is a base URL; credentials in it are not repeated."""
    with pytest.raises(ConfigurationError, match="base_url") as caught:
        settings.base_url(bad)
    assert "u:p" not in str(caught.value)


@pytest.mark.parametrize("bad", [-1, 1.5, "2", True, None])
def test_counts_are_whole_numbers(bad: object) -> None:
    """``max_retries`` and kin."""
    with pytest.raises(ConfigurationError, match="max_retries must be a whole number"):
        settings.whole_number(bad, name="max_retries")


def test_dotenv_fills_what_is_unset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``.env`` is read when asked, and variables that are set win."""
    (tmp_path / ".env").write_text("VOLCENGINE_API_KEY=from-file\nARK_API_KEY=from-file\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARK_API_KEY", "from-shell")
    monkeypatch.setenv("VOLCENGINE_API_KEY", "x")
    monkeypatch.delenv("VOLCENGINE_API_KEY")
    assert settings.load_dotenv()
    assert settings.variable("VOLCENGINE_API_KEY") == "from-file"
    assert settings.variable("ARK_API_KEY") == "from-shell"
    monkeypatch.delenv("VOLCENGINE_API_KEY")
