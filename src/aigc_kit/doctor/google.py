"""Google's credentials: where they come from, and whether they can be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from aigc_kit.doctor.findings import Context, Finding, offline, path_at
from aigc_kit.doctor.vendors import facts_of
from aigc_kit.settings import is_placeholder, variable

_FILE = "GOOGLE_APPLICATION_CREDENTIALS"
_PROJECT = "GOOGLE_CLOUD_PROJECT"


@offline("google")
def google(context: Context) -> Iterator[Finding]:
    """Which of Gemini's two APIs is used, and with what."""
    if "gemini" not in context.providers:
        return
    facts = facts_of("gemini")
    key, project, file = facts.key_variable, variable(_PROJECT), variable(_FILE)
    if not (key or project or file):
        return
    wish = variable("GOOGLE_GENAI_USE_ENTERPRISE", "GOOGLE_GENAI_USE_VERTEXAI").lower()
    on_vertex = wish in ("true", "1") if wish else bool(project or file)
    if not on_vertex:
        yield Finding("ok", "google_developer", "gemini", {"variable": key or facts.keys[0]})
        if not key:
            yield Finding("error", "google_no_key", "gemini")
        return
    yield Finding("ok", "google_vertex", "gemini", {"project": project or "-"})
    if key:
        yield Finding("info", "google_key_unused", "gemini", {"variable": key})
    if is_placeholder(project):
        yield Finding("error", "google_project_placeholder", "gemini", {"value": project})
    location = variable("GOOGLE_CLOUD_LOCATION")
    if location and location != "global":
        yield Finding("warning", "google_location", "gemini", {"location": location})
    yield from _file(file) if file else _default()
    if not project and not _project_in(file):
        yield Finding("error", "google_no_project", "gemini")


def _file(file: str) -> Iterator[Finding]:
    values = {"path": file}
    if is_placeholder(file):
        yield Finding("error", "google_file_placeholder", "gemini", values)
        return
    try:
        info = json.loads((path_at(file) or Path(file)).read_text(encoding="utf-8"))
    except OSError as error:
        yield Finding(
            "error",
            "google_file_missing",
            "gemini",
            {**values, "problem": error.strerror or type(error).__name__},
        )
        return
    except (ValueError, RecursionError):
        yield Finding("error", "google_file_broken", "gemini", values)
        return
    kind = info.get("type") if isinstance(info, dict) else None
    if not isinstance(kind, str):
        yield Finding("error", "google_file_kind", "gemini", values)
        return
    yield Finding("ok", "google_file", "gemini", {**values, "kind": kind})


def _default() -> Iterator[Finding]:
    """gcloud's own file, or a machine of Google's."""
    path = _gcloud() / "application_default_credentials.json"
    there = path_at(str(path))
    if there is not None and there.is_file():
        yield Finding("ok", "google_file", "gemini", {"path": str(path), "kind": "gcloud"})
    else:
        yield Finding("warning", "google_no_credentials", "gemini", {"path": str(path)})


def _gcloud() -> Path:
    """Source: https://cloud.google.com/docs/authentication/application-default-credentials."""
    own = variable("CLOUDSDK_CONFIG")
    if own:
        return Path(own)
    windows = variable("APPDATA")
    return Path(windows) / "gcloud" if windows else Path("~/.config/gcloud")


def _project_in(file: str) -> str:
    try:
        path = path_at(file) if file else None
        info = json.loads(path.read_text(encoding="utf-8")) if path else {}
    except (OSError, ValueError, RecursionError):
        return ""
    return (
        str(info.get("project_id") or info.get("quota_project_id") or "")
        if isinstance(info, dict)
        else ""
    )
