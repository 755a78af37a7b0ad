"""A label written into an image, and read back."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from hashlib import sha256

from aigc_kit.errors import InvalidInputError
from aigc_kit.media import pixels, sniff
from aigc_kit.media.decoding import MAX_PIXELS, ImageFault, decode, frames_of
from aigc_kit.media.labels import xmp
from aigc_kit.media.labels.containers import is_signed, with_xmp, xmp_of
from aigc_kit.media.labels.label import ContentLabel
from aigc_kit.media.labels.mark import marked
from aigc_kit.media.labels.reading import read_labels

TYPES = ("image/png", "image/jpeg", "image/webp")


@dataclass(frozen=True)
class Labelled:
    """
    ``data``: the image with its label; ``aigc``: the members that it has now. ``warnings``: what the
    label changed, in words.
    """

    data: bytes
    aigc: dict[str, str]
    warnings: list[str] = field(default_factory=list[str])


def label_image(data: bytes, label: ContentLabel, *, produce_id: str = "") -> Labelled:
    """
    The image with the label in its metadata, and in its corner where that is asked for.

    PNG, JPEG and WebP are not encoded again for the metadata; other types become PNG. An image that
    has the label of another producer keeps it: your service is named as the one that publishes it.

    Args:
        produce_id: where the label has none; unset: the first 32 digits of the image's SHA-256.

    Raises:
        InvalidInputError: ``data`` is not an image that can carry a label.
        ConfigurationError: a visible label needs a font.
    """
    try:
        return labelled(data, label, produce_id=produce_id)
    except ImageFault as error:
        raise InvalidInputError(f"the image {error}") from error


def labelled(data: bytes, label: ContentLabel, *, produce_id: str = "") -> Labelled:
    """
    See ``label_image``.

    Raises:
        ImageFault: it cannot carry a label.
        ConfigurationError: a visible label needs a font.
    """
    warnings: list[str] = []
    there = read_labels(data)
    packet = xmp_of(data)
    name = produce_id or sha256(data).hexdigest()[:32]
    fields = label.fields(name)
    other = there.aigc.get("ContentProducer", "")
    if other and other != fields["ContentProducer"]:
        fields = _published(there.aigc, label, name)
        warnings.append(
            f"the image has the label of {other!r} already: it was kept, and {label.producer!r} is named as the one that"
            " publishes it"
        )
    if there.c2pa:
        warnings.append(
            "the image is signed with C2PA, and the label makes that signature invalid: keep_original=True stores the"
            " signed file too"
        )
    kind = sniff.mime_type(data)
    if kind not in TYPES:
        lost = frames_of(data) - 1
        data = _as_png(data)
        gone = f", and {lost} frames behind the first are gone" if lost > 0 else ""
        warnings.append(
            f"the image was {kind or 'of an unknown type'}: it was encoded as PNG to carry the label{gone}"
        )
    if label.text:
        data = marked(data, label.text, label.corner)
        if there.c2pa and not is_signed(data):
            warnings.append("drawing the visible label removed the manifest of C2PA")
    return Labelled(_with(data, fields, packet, warnings), fields, warnings)


def relabelled(data: bytes, fields: dict[str, str]) -> bytes:
    """
    A copy of a labelled image with the same members, which its encoder may have left out.

    Raises:
        ImageFault: it cannot carry them.
    """
    if read_labels(data).aigc == fields:
        return data
    return _with(data, fields, xmp_of(data), [])


def _with(data: bytes, fields: dict[str, str], packet: str, warnings: list[str]) -> bytes:
    try:
        made = with_xmp(data, xmp.packet(fields, packet))
    except ImageFault:
        if not packet:
            raise
        made = b""
    if made and read_labels(made).aigc == fields:
        return made
    if packet:
        made = with_xmp(data, xmp.packet(fields))
        warnings.append("the image's own XMP left no room for the label, and was left out")
    if read_labels(made).aigc != fields:
        raise ImageFault("gives another label than was written into it")
    return made


def _published(there: dict[str, str], label: ContentLabel, name: str) -> dict[str, str]:
    """Another producer's label, with your service in its second half."""
    kept = {**label.fields(name), **there}
    kept["ContentPropagator"] = label.propagator or label.producer.strip()
    kept["PropagateID"] = label.propagate_id or label.produce_id or name
    kept["ReservedCode2"] = label.reserved_2
    return kept


def _as_png(data: bytes) -> bytes:
    image = pixels.plain(decode(data, max_pixels=MAX_PIXELS), own=True)
    out = io.BytesIO()
    profile = image.info.get("icc_profile")
    image.save(out, "PNG", **({"icc_profile": profile} if profile else {}))
    return out.getvalue()
