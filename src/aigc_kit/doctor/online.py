"""Requests that cost nothing: does the key work, is the model there, does a stored image reach the public."""

from __future__ import annotations

import email.utils
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

from aigc_kit.chat.vendors import VENDORS
from aigc_kit.doctor.findings import Context, Finding, online
from aigc_kit.doctor.vendors import Facts, facts_of, r2_is_set, wings
from aigc_kit.errors import (
    AIGCError,
    AuthenticationError,
    InvalidReplyError,
    NotFoundError,
    ProviderError,
)
from aigc_kit.settings import Secret, optional_credential
from aigc_kit.transport import codes
from aigc_kit.transport.deadline import Deadline, WireError
from aigc_kit.transport.failures import Judge, RequestContext, error_from_body, failure_of
from aigc_kit.transport.probe import Answered, as_wire_error, ask

SKEW_SECONDS = 300
"""AWS refuses signatures that are more than five minutes off for Bedrock, fifteen for S3."""


class _Refused(Exception):
    """The request failed; ``error`` is the one of the library."""

    def __init__(self, error: AIGCError) -> None:
        super().__init__(str(error))
        self.error = error


@online("providers")
def providers(context: Context) -> Iterator[Finding]:
    """Each configured provider's cheapest request."""
    for name in context.providers:
        facts = facts_of(name)
        if not facts.configured:
            continue
        if facts.probe is None:
            yield Finding("info", "no_probe", name)
            continue
        start = time.monotonic()
        try:
            answered = PROBES[facts.probe.means](facts, context)
        except _Refused as refused:
            yield from _failed(facts, refused.error)
            continue
        yield Finding("ok", "reached", name, {"seconds": f"{time.monotonic() - start:.1f}"})
        if answered is not None:
            yield from _clock(name, answered)
            yield from _listed(facts, answered)


def _failed(facts: Facts, error: AIGCError) -> Iterator[Finding]:
    said = {"problem": str(error)[:300], "url": facts.base_url}
    hints = {"hint_en": error.hint_in("en"), "hint_zh": error.hint_in("zh")}
    if isinstance(error, AuthenticationError):
        yield Finding("error", "refused", facts.name, {**said, **hints})
        if facts.plans:
            plans = ", ".join(f"{plan}: {path.removeprefix('.*')}" for path, plan in facts.plans)
            yield Finding("info", "plan_keys", facts.name, {"plans": plans})
    elif isinstance(error, NotFoundError):
        where = ", ".join(filter(None, (error.model, facts.base_url)))
        yield Finding("error", "not_found", facts.name, {**said, **hints, "where": where})
    else:
        yield Finding("error", "failed", facts.name, {**said, **hints})


def _bearer(facts: Facts, context: Context) -> Answered | None:
    return _with_key(facts, context, lambda key: {"authorization": key.bearer()})


def _x_key(facts: Facts, context: Context) -> Answered | None:
    return _with_key(facts, context, lambda key: {"x-key": key})


def _with_key(
    facts: Facts, context: Context, headers: Callable[[Secret], dict[str, Secret]]
) -> Answered | None:
    key = optional_credential(None, *facts.keys, what="the key")
    if facts.probe is None:  # pragma: no cover - the caller looks first
        return None
    model = facts.model_for("images") or facts.model_for("chat")
    url = facts.base_url.rstrip("/").removesuffix("/chat/completions") + facts.probe.path
    return _asked(
        facts,
        context,
        model,
        facts.probe.method,
        url,
        headers=headers(key) if key else {},
        body=facts.probe.body.replace("{model}", model),
        good=facts.probe.good,
        judge=row.judge if (row := VENDORS.get(facts.name)) else codes.openai,
    )


def _google(facts: Facts, context: Context) -> Answered | None:
    from aigc_kit.transport.clients import Lease
    from aigc_kit.transport.google_auth import GenaiSettings, SignIn, Token

    model = facts.model_for("chat")
    lease = Lease("httpx", reuse=False)
    try:
        found = GenaiSettings.found()
        headers: dict[str, str | Secret]
        if found.api_key is not None:
            base = found.base_url or "https://generativelanguage.googleapis.com"
            url = f"{base}/{found.api_version or 'v1beta'}/models/{model}:countTokens"
            headers = {"x-goog-api-key": found.api_key}
        else:
            found.credentials.refresh(SignIn(lease, Deadline.after(context.timeout)))
            headers = {"authorization": Token(found.credentials).bearer()}
            region = "" if found.location == "global" else f"{found.location}-"
            base = found.base_url or f"https://{region}aiplatform.googleapis.com"
            where = f"projects/{found.project}/locations/{found.location}/publishers/google/models"
            url = f"{base}/{found.api_version or 'v1beta1'}/{where}/{model}:countTokens"
    except AIGCError as error:
        raise _Refused(error) from error
    except Exception as error:
        raise _Refused(
            AuthenticationError(
                f"signing in to Google failed: {str(error)[:200]}", provider="gemini"
            )
        ) from error
    finally:
        lease.close()
    body = '{"contents": [{"role": "user", "parts": [{"text": "probe"}]}]}'
    return _asked(
        facts,
        context,
        model,
        "POST",
        url,
        headers=headers,
        body=body,
        good=(200,),
        judge=codes.google,
    )


def _asked(
    facts: Facts,
    context: Context,
    model: str,
    method: str,
    url: str,
    *,
    headers: dict[str, Any],
    body: str,
    good: tuple[int, ...],
    judge: Judge,
) -> Answered:
    """
    Raises:
        _Refused: no response came, or one that proves that the call would fail.
    """
    secrets_sent = tuple(value for value in headers.values() if isinstance(value, Secret))
    request = RequestContext(facts.name, model=model, judge=judge, secrets=secrets_sent)
    try:
        answered = ask(method, url, headers=headers, body=body, timeout=context.timeout)
    except (WireError, OSError, ValueError, ProviderError) as error:
        if isinstance(error, AIGCError):
            raise _Refused(error) from error
        failed = failure_of(request, as_wire_error(error), Deadline.after(context.timeout))
        raise _Refused(failed) from error
    if answered.status == 200 and answered.body is None:
        raise _Refused(
            InvalidReplyError(
                f"{facts.name} answered 200 with {answered.size} bytes that are not JSON, as a web page does; is the"
                " base URL missing /v1?",
                provider=facts.name,
                status_code=200,
            )
        )
    if answered.status in good:
        return answered
    judged = error_from_body(
        request, answered.body, status=answered.status, headers=dict(answered.headers)
    )
    raise _Refused(judged)


def _aws(facts: Facts, context: Context) -> Answered | None:
    """A conversation without messages: AWS checks signature and rights first."""
    from aigc_kit.chat.bedrock import BedrockProvider
    from aigc_kit.errors import BadRequestError, InvalidInputError

    try:
        provider = BedrockProvider(timeout=context.timeout, max_retries=0)
    except AIGCError as error:
        raise _Refused(error) from error
    try:
        provider.probe(Deadline.after(context.timeout))
    except (BadRequestError, InvalidInputError):
        return None
    except AIGCError as error:
        raise _Refused(error) from error
    finally:
        provider.close()
    return None


PROBES: dict[str, Callable[[Facts, Context], Answered | None]] = {
    "bearer": _bearer,
    "x-key": _x_key,
    "google": _google,
    "aws": _aws,
}


def _clock(name: str, answered: Answered) -> Iterator[Finding]:
    try:
        there = email.utils.parsedate_to_datetime(answered.headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return
    skew = round(time.time() - there)
    if abs(skew) > SKEW_SECONDS:
        yield Finding(
            "error", "clock", name, {"seconds": str(abs(skew)), "sign": "+" if skew > 0 else "-"}
        )


def _listed(facts: Facts, answered: Answered) -> Iterator[Finding]:
    """Whether the models that are used are in the vendor's own list."""
    entries = answered.body.get("data") if isinstance(answered.body, dict) else None
    if not isinstance(entries, list):
        return
    ids = {entry.get("id"): entry for entry in entries if isinstance(entry, dict)}
    for wing, names in wings().items():
        model = facts.model_for(wing)
        if facts.name not in names or not model or not ids:
            continue
        if model not in ids:
            yield Finding("warning", "model_not_listed", facts.name, {"model": model, "wing": wing})
            continue
        end = ids[model].get("shutdown_date")
        if isinstance(end, str) and end:
            yield Finding(
                "warning",
                "model_ending",
                facts.name,
                {
                    "model": model,
                    "where": wing,
                    "on": end[:10],
                    "use": "-",
                    "source": "/models",
                },
            )


@online("store")
def store(context: Context) -> Iterator[Finding]:
    """Upload, read as the public does, delete."""
    held = context.store
    if held is None:
        if not r2_is_set():
            return
        from aigc_kit.storage import R2Storage

        try:
            held = R2Storage(timeout=context.timeout)
        except AIGCError:
            return  # told by the check of its variables
    try:
        yield from _stored(held, context)
    finally:
        if held is not context.store:
            held.close()


def _stored(held: Any, context: Context) -> Iterator[Finding]:
    subject = f"bucket {getattr(held, 'bucket', '-')}"
    key = f"aigc-kit-doctor/{secrets.token_hex(8)}.txt"
    data = b"aigc-kit doctor"
    try:
        stored = held.upload_bytes(data, key, content_type="text/plain")
    except AIGCError as error:
        hints = {"hint_en": error.hint_in("en"), "hint_zh": error.hint_in("zh")}
        yield Finding("error", "upload_failed", subject, {"problem": str(error)[:300], **hints})
        return
    yield Finding("ok", "uploaded", subject, {"key": key})
    try:
        yield from _public(subject, stored.url, data, context)
    finally:
        held.discard(key)
    try:
        left = held.exists(key)
    except AIGCError as error:
        yield Finding("warning", "not_deleted", subject, {"key": key, "problem": str(error)[:200]})
        return
    if left is None:
        yield Finding("ok", "deleted", subject, {"key": key})
    else:
        yield Finding("warning", "not_deleted", subject, {"key": key, "problem": "-"})


def _public(subject: str, url: str, data: bytes, context: Context) -> Iterator[Finding]:
    shown = url.partition("?")[0]
    try:
        answered = ask("GET", url, timeout=context.timeout)
    except (WireError, OSError, ValueError, ProviderError) as error:
        yield Finding(
            "error", "public_unreachable", subject, {"url": shown, "problem": str(error)[:200]}
        )
        return
    if answered.status != 200 or answered.size != len(data):
        yield Finding(
            "error", "public_refused", subject, {"url": shown, "status": str(answered.status)}
        )
        return
    yield Finding("ok", "public", subject, {"url": shown})
    if answered.headers.get("content-disposition", "").startswith("attachment"):
        yield Finding("warning", "public_attachment", subject, {"url": shown})
