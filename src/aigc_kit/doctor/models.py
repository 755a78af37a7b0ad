"""Models that variables name: ended, ending, or not in the tables of this version."""

from __future__ import annotations

from collections.abc import Iterator

from aigc_kit.doctor.findings import Context, Finding, offline
from aigc_kit.doctor.vendors import facts_of, wings
from aigc_kit.settings import variable

SOON_DAYS = 90


@offline("models")
def models(context: Context) -> Iterator[Finding]:
    """Each variable of a model that is set, and the default where none is."""
    lists = wings()
    for name in context.providers:
        facts = facts_of(name)
        if not facts.configured:
            continue
        named = [(variable(each), each) for each in facts.models if variable(each)]
        used = {model for model, _ in named}
        for wing in lists:
            if name in lists[wing] and facts.model_for(wing) not in used:
                named.append((facts.model_for(wing), ""))
        for model, where in named:
            if model:
                yield from _judged(context, name, model, where)


def _judged(context: Context, name: str, model: str, where: str) -> Iterator[Finding]:
    values = {"model": model, "where": where or "default"}
    row = facts_of(name).retirement_of(model)
    if row is not None:
        values |= {"on": row.on.isoformat(), "use": row.use, "source": row.source}
        left = (row.on - context.today).days
        if left <= 0:
            yield Finding("error", "model_retired", name, values)
        else:
            yield Finding("warning" if left <= SOON_DAYS else "info", "model_ending", name, values)
        return
    if where and "IMAGE" in where and not _drawn(name, model):
        yield Finding("info", "model_unknown", name, values)
        return
    if name == facts_of(name).name and model.startswith("ep-") and "IMAGE" in where:
        yield Finding("info", "model_endpoint", name, values)
    yield Finding("ok", "model", name, values)


def _drawn(provider: str, model: str) -> bool:
    """Whether an image table of this version has the model's rules; True where there is no table."""
    from aigc_kit.image import sizes
    from aigc_kit.image.gemini.provider import CURRENT_MODELS

    tables = {
        "volcengine": lambda: model.startswith("ep-") or bool(sizes.family_of(model, None)),
        "gemini": lambda: model.rpartition("/")[2] in CURRENT_MODELS,
    }
    return tables.get(provider, lambda: True)()
