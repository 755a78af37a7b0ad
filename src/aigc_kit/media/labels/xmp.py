"""
Packets of XMP: the label put into one, and read from one. Text in, text out.

Namespace and property as the practice guide for images has them: ``TC260:AIGC`` of
``http://www.tc260.org.cn/ns/AIGC/1.0/``, whose value is JSON. Beside it goes the mark that everybody
else reads, IPTC's ``DigitalSourceType``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

NAMESPACE = "http://www.tc260.org.cn/ns/AIGC/1.0/"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"

_END = re.compile(r"</(\w+):RDF\s*>\s*(?=</|$|<\?)", re.DOTALL)
_EMPTY = re.compile(r"<(\w+):RDF((?:\s[^<>]*?)?)\s*/>", re.DOTALL)
_OPENED = f'<rdf:Description rdf:about="" xmlns:rdf="{_RDF}" xmlns:TC260="{NAMESPACE}"><TC260:AIGC>'
_CLOSED = "</TC260:AIGC></rdf:Description>"
_OURS = re.compile(f"{re.escape(_OPENED)}.*?{re.escape(_CLOSED)}", re.DOTALL)
_OWN = re.compile(
    r"""<(?P<p>\w+):AIGC\b[^>]*(/>|>.*?</(?P=p):AIGC\s*>)|\s\w+:AIGC\s*=\s*("[^"]*"|'[^']*')""",
    re.DOTALL,
)
_PADDING = re.compile(r"\s{64,}(?=<\?xpacket end)")


def packet(fields: dict[str, str], before: str = "") -> str:
    """
    A packet with the label, and everything that the packet before it had.

    Args:
        before: the image's own packet; one that is not XML is replaced.
    """
    value = escape(json.dumps(fields, ensure_ascii=False, separators=(",", ":")), quote=False)
    source = "" if GENERATED in before or "DigitalSourceType" in before else _source()
    about = f"{source}{_OPENED}{value}{_CLOSED}"
    if before and _is_xml(before):
        merged = _merged(before, about)
        if merged and _is_xml(merged):
            return merged
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}">{about}</rdf:RDF></x:xmpmeta>'
        '<?xpacket end="w"?>'
    )


def _source() -> str:
    return (
        f'<rdf:Description rdf:about="" xmlns:rdf="{_RDF}" xmlns:Iptc4xmpExt="{_IPTC}">'
        f"<Iptc4xmpExt:DigitalSourceType>{GENERATED}</Iptc4xmpExt:DigitalSourceType></rdf:Description>"
    )


def _merged(before: str, about: str) -> str:
    """The packet with the description at the end of its RDF, in the place of an older label."""
    plain = _PADDING.sub("", _OWN.sub("", _OURS.sub("", before)))
    ends = list(_END.finditer(plain))
    if ends:
        at = ends[-1].start()
        return plain[:at] + about + plain[at:]
    empty = _EMPTY.search(plain)
    if empty:
        name = f"{empty[1]}:RDF"
        return plain[: empty.start()] + f"<{name}{empty[2]}>{about}</{name}>" + plain[empty.end() :]
    return ""


def label_in(packet_text: str) -> str:
    """The JSON of a label, as an element or an attribute; "" where there is none."""
    name = f"{{{NAMESPACE}}}AIGC"
    for element in _elements(packet_text):
        if element.tag == name:
            return "".join(element.itertext()).strip()
        if name in element.attrib:
            return element.attrib[name]
    return ""


def source_type_in(packet_text: str) -> str:
    """IPTC's digital source type, a URL; "" where it has none."""
    name = f"{{{_IPTC}}}DigitalSourceType"
    for element in _elements(packet_text):
        if element.tag == name:
            return element.attrib.get(f"{{{_RDF}}}resource", "") or (element.text or "").strip()
        if name in element.attrib:
            return element.attrib[name]
    return ""


def _is_xml(text: str) -> bool:
    return next(_elements(text), None) is not None


def _elements(text: str) -> Iterator[Element]:
    """
    The elements of a packet; none of one that is not XML.

    A packet with a document type is not read: entities could make it as large as they like.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        return
    from xml.etree import ElementTree  # only labels need it

    try:
        root = ElementTree.fromstring(_body(text))  # noqa: S314 - there is no document type
    except (ElementTree.ParseError, ValueError, RecursionError):
        return
    yield from root.iter()


def _body(text: str) -> str:
    """Without the ``<?xpacket?>`` around it, what is behind it, and an encoding's declaration."""
    return re.sub(r"<\?(xpacket|xml)\b.*?\?>", "", text, flags=re.DOTALL).strip(" \t\r\n\0\ufeff")
