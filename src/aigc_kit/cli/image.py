"""``aigc-kit image``."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import click

from aigc_kit.cli import _failures, _images, _providers, _stores, _terminal


@click.command("image", short_help="Draw an image and save it.")
@click.argument("prompt")
@click.option(
    "-p",
    "--provider",
    shell_complete=_providers.complete("images"),
    help="Unset: AIGC_KIT_IMAGE_PROVIDER, then the first with a key.",
)
@click.option("-m", "--model", help="Unset: the provider's variable, then its default.")
@click.option(
    "-s",
    "--size",
    default="1024x1024",
    show_default=True,
    help="1024x1024, a ratio 16:9, or a tier 2K.",
)
@click.option(
    "-r",
    "--ref",
    "refs",
    multiple=True,
    metavar="IMAGE",
    help="A reference image: a path or a URL. Repeat it for several.",
)
@click.option(
    "-o",
    "--out",
    default=".",
    metavar="PATH",
    show_default=True,
    help="A directory, or the name of the file.",
)
@click.option(
    "-n",
    "--n",
    "n",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="How many images.",
)
@click.option(
    "--store",
    default="local",
    metavar="STORE",
    show_default=True,
    help="local, r2, oss, cos, tos, minio, or s3://BUCKET.",
)
@click.option("--endpoint", metavar="URL", help="The endpoint of --store.")
@click.option("--public-domain", metavar="URL", help="Where the public reads --store.")
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of the vendor or the call, such as seed=7. Repeat it for several.",
)
@click.option(
    "--label", metavar="PRODUCER", help="Write the label of GB 45438 with this producer's name."
)
@click.option("--visible-label", is_flag=True, help="Draw the label too; needs --label.")
@click.option("--timeout", type=float, help="Seconds.")
@click.option(
    "--key",
    "idempotency_key",
    metavar="TEXT",
    help="The same key gives the stored image again instead of paying again.",
)
@click.option(
    "--spool", metavar="DIR", help="The journal; unset: AIGC_KIT_SPOOL_DIR, then the user's."
)
@click.option("--force", is_flag=True, help="Replace files.")
@click.option("--open", "open_", is_flag=True, help="Open the images when they are there.")
@_terminal.json_option
@_terminal.session
def command(session: _terminal.Session, /, prompt: str, as_json: bool, **given: Any) -> int:
    """Draw PROMPT, save the image, and print its path ("-": read the prompt from stdin).

    An image that was paid for is never lost: what Ctrl-C or a crash leaves behind is finished by
    'aigc-kit resume'.
    """
    from aigc_kit.errors import AIGCError

    text = sys.stdin.read() if prompt == "-" else _terminal.plain_text(prompt)
    target = _images.Target(
        given["out"], given["n"], force=given["force"], keep=bool(given["idempotency_key"])
    )
    spool = given["spool"] or _stores.journal_dir()
    before = _waiting_in(spool)
    try:
        provider = _providers.provider_or_default(
            given["provider"], "images", "AIGC_KIT_IMAGE_PROVIDER"
        )
        with _store(given, target) as store, _client(provider, given, store, spool) as client:
            model = str(getattr(client.provider, "model", "") or "")
            with _terminal.waiting(f"{provider} {model}".strip()):
                group = _drawn(client, text, given)
    except AIGCError as error:
        raise _failures.failed(error, session, in_json=as_json, paid=True) from None
    except KeyboardInterrupt as stop:
        return _interrupted(stop, session, spool, before, target, as_json=as_json)
    return _delivered(group, session, target, given, as_json=as_json)


def _store(given: dict[str, Any], target: _images.Target) -> Any:
    return _stores.store_of(
        given["store"],
        folder=str(target.folder),
        endpoint=given["endpoint"],
        public=given["public_domain"],
    )


def _client(provider: str, given: dict[str, Any], store: Any, spool: str) -> Any:
    from aigc_kit import ImageClient

    options = {name: given[name] for name in ("model", "timeout") if given[name] is not None}
    if given["visible_label"] and given["label"] is None:
        raise click.UsageError("--visible-label needs --label with the producer's name")
    if given["label"] is not None:
        from aigc_kit.image import ContentLabel

        options["label"] = ContentLabel(producer=given["label"], visible=given["visible_label"])
    return ImageClient(
        provider,
        storage=store,
        storage_key_prefix="" if given["store"] == "local" else "aigc/images",
        keep_urls=True,
        spool_dir=spool,
        **options,
    )


def _drawn(client: Any, prompt: str, given: dict[str, Any]) -> Any:
    from aigc_kit.image.base import ImageGroup

    options = dict(_terminal.pairs(given["options"]))
    if given["idempotency_key"]:
        options["idempotency_key"] = given["idempotency_key"]
    refs = [_reference(ref) for ref in given["refs"]]
    n, size = given["n"], given["size"]
    if refs and n > 1:
        return client.image_to_images(prompt, reference_images=refs, n=n, size=size, **options)
    if n > 1:
        return client.text_to_images(prompt, n=n, size=size, **options)
    if refs:
        return ImageGroup(
            [client.image_to_image(prompt, reference_images=refs, size=size, **options)]
        )
    return ImageGroup([client.text_to_image(prompt, size=size, **options)])


def _reference(text: str) -> Any:
    """
    Raises:
        click.UsageError: neither a URL nor a file.
    """
    if text.lower().startswith(("http://", "https://", "data:")):
        return text
    path = Path(text).expanduser()
    if not path.is_file():
        raise click.UsageError(f"--ref {text!r} is neither a URL nor a file")
    return path


def _delivered(
    group: Any,
    session: _terminal.Session,
    target: _images.Target,
    given: dict[str, Any],
    *,
    as_json: bool,
) -> int:
    language = session.chosen_language()
    notes = [
        note for place, image in enumerate(group.images) if (note := target.name(image, place))
    ]
    code = 0
    if group.errors:
        code = _failures.PARTIAL if group.images else _failures.code_of(group.errors[0], paid=True)
    elif target.has_failed:
        code = _failures.PARTIAL
    if as_json:
        failures = [
            _failures.document_of(error, _failures.code_of(error, paid=True), language)["error"]
            | {"index": error.index}
            for error in group.errors
        ]
        images = [_images.document_of(image) for image in group.images]
        _terminal.document({"ok": not failures, "images": images, "errors": failures})
    else:
        for image in group.images:
            _terminal.answer(_images.place_of(image))
    for note in [*notes, *_warnings(group)]:
        _terminal.note(f"{_terminal.styled('note:', fg='yellow')} {note}")
    for error in group.errors:
        _failures.say(error, language)
    if given["open_"]:
        for image in group.images:
            click.launch(image.url)
    if code:
        raise _failures.Finished(code)
    return 0


def _warnings(group: Any) -> list[str]:
    found = [entry for image in group.images for entry in image.metadata.get("warnings") or []]
    return list(
        dict.fromkeys(str(entry.get("details", "")) for entry in found if isinstance(entry, dict))
    )


def _waiting_in(spool: str) -> set[str]:
    """The unfinished entries of the journal, before this purchase."""
    from aigc_kit.errors import AIGCError
    from aigc_kit.image.journal import Journal

    try:
        return set(Journal(spool).names())
    except (AIGCError, OSError):
        return set()  # the client says what is wrong with it


def _interrupted(
    stop: BaseException,
    session: _terminal.Session,
    spool: str,
    before: set[str],
    target: _images.Target,
    *,
    as_json: bool,
) -> int:
    """Ctrl-C: what was paid for, and what is unknown."""
    group = getattr(stop, "result", None)
    images = [
        image for image in getattr(group, "images", None) or [] if image.url.startswith("file:")
    ]
    for place, image in enumerate(images):
        with contextlib.suppress(OSError):
            target.name(image, place)
    left = len(_waiting_in(spool) - before)
    zh = session.chosen_language() == "zh"
    if as_json:
        _terminal.document(
            {
                "ok": False,
                "interrupted": True,
                "images": [_images.document_of(image) for image in images],
                "unfinished": left,
            }
        )
    else:
        for image in images:
            _terminal.answer(_images.place_of(image))
    if left:
        _terminal.note(
            "已中断。请求已发出，结果未知：图片可能已计费。用 aigc-kit resume 查看并完成。"
            if zh
            else "interrupted: the request had been sent, and its outcome is unknown: it may have been"
            " billed. 'aigc-kit resume' finishes what can be finished."
        )
    elif images:
        _terminal.note(
            "已中断。已付费的图片已保存。"
            if zh
            else "interrupted: the images that were paid for are saved."
        )
    else:
        _terminal.note("已中断。没有付费。" if zh else "interrupted: nothing was paid for.")
    raise _failures.Finished(_failures.INTERRUPTED)
