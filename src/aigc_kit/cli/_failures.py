"""Every failure as one or two lines on stderr, and as an exit code."""

from __future__ import annotations

from typing import Any

import click

from aigc_kit import errors
from aigc_kit.cli import _terminal

FAILED, USAGE, PARTIAL, CREDENTIAL, BLOCKED, PAID, INTERRUPTED = 1, 2, 3, 4, 5, 6, 130

_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (errors.MissingCredentialError, CREDENTIAL),
    (errors.AuthenticationError, CREDENTIAL),
    (errors.PermissionDeniedError, CREDENTIAL),
    (errors.QuotaExceededError, CREDENTIAL),
    (errors.ContentFilterError, BLOCKED),
    (errors.OutcomeUnknownError, PAID),
    (errors.StreamInterruptedError, PARTIAL),
    (errors.ConfigurationError, USAGE),
    (errors.InvalidInputError, USAGE),
)


class Finished(Exception):
    """The command has said everything; only its exit code is left."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def code_of(error: BaseException, *, paid: bool = False) -> int:
    """
    Args:
        paid: whether the call was one that costs money: then a failure that does not prove that it
            cost nothing is ``PAID``.
    """
    found = next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)
    if found not in (FAILED, USAGE):
        return found
    if getattr(error, "result", None) is not None:
        return PAID
    if paid and isinstance(error, errors.ProviderError) and error.billed != "no":
        return PAID
    return found


def document_of(error: errors.AIGCError, code: int, language: str) -> dict[str, Any]:
    """The error as a document with stable keys."""
    return {
        "ok": False,
        "error": {
            "type": type(error).__name__,
            "message": str(error),
            "hint": error.hint_in(language),
            "provider": error.provider,
            "model": error.model,
            "request_id": error.request_id,
            "status_code": getattr(error, "status_code", None),
            "code": getattr(error, "code", ""),
            "billed": getattr(error, "billed", None),
            "retryable": getattr(error, "retryable", False),
            "exit_code": code,
        },
    }


def failed(
    error: errors.AIGCError,
    session: _terminal.Session,
    *,
    in_json: bool,
    paid: bool = False,
) -> Finished:
    """Say what failed, and return what to raise."""
    code = code_of(error, paid=paid)
    language = session.chosen_language()
    if in_json:
        _terminal.document(document_of(error, code, language))
    say(error, language)
    if session.debug:
        import traceback

        traceback.print_exception(error)
    return Finished(code)


def say(error: BaseException, language: str) -> None:
    """One line with what failed, and one with what to do."""
    message = " ".join(str(error).split())
    who = str(getattr(error, "provider", "") or "")
    if who and not message.lower().startswith(who.lower()):
        message = f"{who}: {message}"
    _terminal.note(f"{_terminal.styled('error:', fg='red', bold=True)} {message}")
    hint = error.hint_in(language) if isinstance(error, errors.AIGCError) else ""
    if hint and hint.rstrip(".") not in message:
        _terminal.note(f"{_terminal.styled('hint:', fg='cyan', bold=True)} {hint}")


def _usage(error: click.ClickException) -> None:
    """In the shape of every other error, with the page that helps."""
    message = " ".join(error.format_message().split())
    _terminal.note(f"{_terminal.styled('error:', fg='red', bold=True)} {message}")
    context = getattr(error, "ctx", None)
    if context is not None:
        help_page = f"see '{context.command_path} --help'"
        _terminal.note(f"{_terminal.styled('hint:', fg='cyan', bold=True)} {help_page}")


def told(error: BaseException, *, debug: bool, in_json: bool = False) -> int:
    """The exit code of whatever ended the program; printed unless it was before."""
    if isinstance(error, Finished):
        return error.code
    if isinstance(error, click.exceptions.Exit):
        return int(error.exit_code)
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else FAILED
    if isinstance(error, click.ClickException):
        _usage(error)
        code = int(error.exit_code)
        if in_json:
            wrong = errors.InvalidInputError(error.format_message())
            document = document_of(wrong, code, "en")
            document["error"] |= {"type": type(error).__name__, "hint": ""}
            _terminal.document(document)
        return code
    if debug:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        _terminal.note("interrupted")
        return INTERRUPTED
    from aigc_kit.hints import language

    if isinstance(error, (errors.AIGCError, OSError)):
        say(error, language())
        return code_of(error)
    _terminal.note(f"error: {type(error).__name__}: {error}")
    _terminal.note("hint: this is a bug or a broken installation; --debug shows the traceback.")
    return FAILED
