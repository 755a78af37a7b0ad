"""AWS: region, profile, SSO, and variables that reach further than one expects."""

from __future__ import annotations

import configparser
import json
from collections.abc import Iterator
from datetime import UTC, datetime

from aigc_kit.doctor.findings import Context, Finding, offline, path_at
from aigc_kit.doctor.vendors import facts_of
from aigc_kit.settings import variable


@offline("aws")
def aws(context: Context) -> Iterator[Finding]:
    """Only where something of AWS is set; a server with a role needs nothing."""
    named = "bedrock" in context.providers and facts_of("bedrock").configured
    if variable("AWS_ENDPOINT_URL") and not variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"):
        yield Finding("warning", "aws_endpoint", "aws", {"url": variable("AWS_ENDPOINT_URL")})
    if bool(variable("AWS_ACCESS_KEY_ID")) != bool(variable("AWS_SECRET_ACCESS_KEY")):
        yield Finding("error", "aws_half", "aws")
    if not named:
        return
    if variable("AWS_BEARER_TOKEN_BEDROCK") and variable("AWS_ACCESS_KEY_ID"):
        yield Finding("info", "aws_bearer_wins", "bedrock")
    yield from _profile()
    yield from _region()


def _profile() -> Iterator[Finding]:
    profile = variable("AWS_PROFILE")
    if not profile:
        return
    config = _config()
    section = _section(config, profile)
    if section is None:
        names = sorted(name.removeprefix("profile ") for name in config.sections())
        yield Finding(
            "error",
            "aws_profile_missing",
            "bedrock",
            {"profile": profile, "names": ", ".join(names) or "-"},
        )
        return
    yield Finding("ok", "aws_profile", "bedrock", {"profile": profile})
    session = section.get("sso_session", "")
    start = section.get("sso_start_url", "")
    if session and config.has_section(f"sso-session {session}"):
        start = config[f"sso-session {session}"].get("sso_start_url", start)
    if start:
        yield from _sso(profile, start)


def _sso(profile: str, start: str) -> Iterator[Finding]:
    """Source: https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-sso.html."""
    newest: datetime | None = None
    folder = path_at("~/.aws/sso/cache")
    for path in folder.glob("*.json") if folder is not None else ():
        try:
            token = json.loads(path.read_text(encoding="utf-8"))
            if token.get("startUrl") != start:
                continue
            end = datetime.fromisoformat(
                str(token["expiresAt"]).replace("UTC", "+00:00").replace("Z", "+00:00")
            )
        except (OSError, ValueError, KeyError, AttributeError):
            continue
        end = end if end.tzinfo else end.replace(tzinfo=UTC)
        newest = end if newest is None else max(newest, end)
    if newest is None:
        yield Finding("error", "aws_sso_absent", "bedrock", {"profile": profile})
    elif newest < datetime.now(UTC):
        yield Finding(
            "warning", "aws_sso_expired", "bedrock", {"profile": profile, "at": newest.isoformat()}
        )


def _region() -> Iterator[Finding]:
    name = next(
        (name for name in ("BEDROCK_REGION", "AWS_REGION", "AWS_DEFAULT_REGION") if variable(name)),
        "",
    )
    if name:
        yield Finding("ok", "aws_region", "bedrock", {"variable": name, "region": variable(name)})
        return
    section = _section(_config(), variable("AWS_PROFILE") or "default")
    if section is not None and section.get("region"):
        yield Finding(
            "ok",
            "aws_region",
            "bedrock",
            {"variable": "~/.aws/config", "region": section["region"]},
        )
    else:
        yield Finding("error", "aws_no_region", "bedrock")


def _config() -> configparser.ConfigParser:
    """Both files of AWS; one that cannot be read is empty, as it is for boto3."""
    config = configparser.ConfigParser(interpolation=None, strict=False)
    files = (
        variable("AWS_CONFIG_FILE") or "~/.aws/config",
        variable("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials",
    )
    for file in files:
        try:
            config.read(path_at(file) or (), encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue
    return config


def _section(config: configparser.ConfigParser, profile: str) -> configparser.SectionProxy | None:
    return next(
        (config[name] for name in (f"profile {profile}", profile) if config.has_section(name)), None
    )
