"""Keys and base URLs: which variable won, which are shadowed, what was never filled in."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from aigc_kit import settings
from aigc_kit.doctor.findings import Context, Finding, Level, masked, offline
from aigc_kit.doctor.vendors import Facts, facts_of, wings
from aigc_kit.errors import ConfigurationError
from aigc_kit.settings import is_placeholder, variable


@offline("keys")
def keys(context: Context) -> Iterator[Finding]:
    """Of each provider: the key that is used, those beside it, and placeholders."""
    idle: list[str] = []
    for name in context.providers:
        facts = facts_of(name)
        found = list(_keys_of(facts, context))
        yield from found
        if facts.configured or any(finding.level == "error" for finding in found):
            continue
        if context.chosen and not facts.key_optional:
            yield Finding(
                "error",
                "key_missing",
                name,
                {"variables": " / ".join((*facts.keys, *facts.instead)), "console": facts.console},
            )
        elif not context.chosen:
            idle.append(name)
    if idle:
        yield Finding("info", "idle", "", {"names": ", ".join(idle)})


def _keys_of(facts: Facts, context: Context) -> Iterator[Finding]:
    used = facts.key_variable
    for name in facts.keys:
        value = variable(name)
        if not value:
            continue
        if is_placeholder(value):
            level: Level = "warning" if facts.configured else "error"
            yield Finding(
                level,
                "placeholder",
                facts.name,
                {"variable": name, "value": value, "console": facts.console or "-"},
            )
        elif name == used:
            yield Finding("ok", "key", facts.name, {"variable": name, "value": masked(value)})
            yield from _shape(facts.name, name, value)
        else:
            same = value == variable(used)
            code = "key_same" if same else "key_shadowed"
            yield Finding(
                "info" if same else "warning",
                code,
                facts.name,
                {"variable": name, "value": masked(value), "used": used},
            )
        written = context.dotenv.get(name, "").strip()
        if written and written != value and not is_placeholder(written):
            yield Finding("warning", "dotenv_shadowed", facts.name, {"variable": name})


def _shape(subject: str, name: str, value: str) -> Iterator[Finding]:
    bare = value.strip("'\"")
    if bare.lower().startswith(("bearer ", "authorization:")) or bare != value:
        yield Finding("info", "key_wrapped", subject, {"variable": name})
    if not bare.isascii() or not bare.isprintable() or " " in bare.removeprefix("Bearer "):
        yield Finding("error", "key_characters", subject, {"variable": name})


@offline("timeouts")
def timeouts(context: Context) -> Iterator[Finding]:
    """Of each configured provider: a timeout that its clients would refuse."""
    for name in context.providers:
        facts = facts_of(name)
        for each in facts.timeouts if facts.configured else ():
            try:
                settings.seconds(None, each, default=1.0)
            except ConfigurationError as error:
                yield Finding(
                    "error", "setting_bad", name, {"variable": each, "problem": str(error)}
                )


@offline("base urls")
def base_urls(context: Context) -> Iterator[Finding]:
    """Of each configured provider: the URL that requests go to, and whether keys and images fit it."""
    drawing = wings()["images"]
    for name in context.providers:
        facts = facts_of(name)
        given = next((each for each in facts.base_urls if variable(each)), "")
        if not facts.configured or not (given or facts.home):
            continue
        if not given:
            yield Finding("ok", "base_url", name, {"url": facts.home})
            continue
        try:
            url = settings.base_url(variable(given))
        except ConfigurationError as error:
            yield Finding("error", "base_url_bad", name, {"variable": given, "problem": str(error)})
            continue
        yield from _judged(facts, given, url, draws=name in drawing)


def _judged(facts: Facts, given: str, url: str, *, draws: bool) -> Iterator[Finding]:
    values = {"variable": given, "url": url}
    yield Finding("ok", "base_url_set", facts.name, values)
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "http" and not _is_local(host):
        yield Finding("warning", "base_url_http", facts.name, values)
    if host in ("xxx", "api.example.com") or is_placeholder(url):
        yield Finding("error", "base_url_placeholder", facts.name, values)
    plan = next((plan for path, plan in facts.plans if _path_is(path, parts.path)), "")
    if plan:
        yield Finding("info", "plan_url", facts.name, {**values, "plan": plan, "home": facts.home})
    if plan and draws:
        yield Finding(
            "warning", "plan_images", facts.name, {**values, "plan": plan, "home": facts.home}
        )
    if facts.international and host == urlsplit(facts.international).hostname:
        yield Finding("info", "international", facts.name, values)
    own_hosts = {urlsplit(facts.home).hostname, urlsplit(facts.international).hostname}
    if facts.home and host in own_hosts and not plan:
        homes = filter(None, (facts.home, facts.international))
        paths = {urlsplit(each).path for each in homes}
        if parts.path.rstrip("/") not in {path.rstrip("/") for path in paths} and not _whole(
            parts.path
        ):
            yield Finding("warning", "base_url_path", facts.name, {**values, "home": facts.home})


def _path_is(pattern: str, path: str) -> bool:
    import re

    return re.fullmatch(pattern, path.rstrip("/")) is not None


def _whole(path: str) -> bool:
    """People paste the whole endpoint, which is understood; DeepSeek's has ``/v1`` and ``/beta`` too."""
    return path.rstrip("/").endswith(("/chat/completions", "/v1", "/beta"))


def _is_local(host: str) -> bool:
    return (
        host in ("localhost", "127.0.0.1", "::1")
        or host.endswith(".local")
        or host.startswith(("10.", "192.168."))
    )
