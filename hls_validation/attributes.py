"""Attribute lists of tags, strictly (draft-pantos-hls-rfc8216bis, 4.2), and which attributes each tag has. Pure.

An attribute that is not in the table is right, whatever its value: clients ignore what they do not know, and the format grows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"\r\n]*"|[^",\s]+)')
_KINDS = {
    "integer": (re.compile(r"\d{1,20}"), "a decimal integer"),
    "hex": (re.compile(r"0[xX][0-9A-F]+"), "a hexadecimal sequence"),
    "decimal": (re.compile(r"\d+(\.\d+)?"), "a decimal number"),
    "signed": (re.compile(r"-?\d+(\.\d+)?"), "a decimal number"),
    "string": (re.compile(r'"[^"]*"'), "a quoted string"),
    "resolution": (re.compile(r"\d+x\d+"), "a resolution such as 1280x720"),
    "yesno": (re.compile(r"YES|NO"), "YES or NO"),
    "enum": (re.compile(r'[^",\s]+'), "an unquoted word"),
    "media": (re.compile(r"AUDIO|VIDEO|SUBTITLES|CLOSED-CAPTIONS"), "AUDIO, VIDEO, SUBTITLES or CLOSED-CAPTIONS"),
    "range": (re.compile(r"SDR|PQ|HLG"), "SDR, PQ or HLG"),
    "captions": (re.compile(r'NONE|"[^"]*"'), "a quoted string or NONE"),
    "byterange": (re.compile(r'"\d+(@\d+)?"'), "a quoted byte range such as 800@0"),
}

_STREAM = {
    "BANDWIDTH": "integer", "AVERAGE-BANDWIDTH": "integer", "SCORE": "decimal", "CODECS": "string", "SUPPLEMENTAL-CODECS": "string",
    "RESOLUTION": "resolution", "HDCP-LEVEL": "enum", "ALLOWED-CPC": "string", "VIDEO-RANGE": "range", "REQ-VIDEO-LAYOUT": "string",
    "STABLE-VARIANT-ID": "string", "VIDEO": "string", "PATHWAY-ID": "string",
}  # fmt: skip

# Kind of each attribute of each tag.
KNOWN: Mapping[str, Mapping[str, str]] = MappingProxyType({
    "EXT-X-STREAM-INF": {**_STREAM, "FRAME-RATE": "decimal", "AUDIO": "string", "SUBTITLES": "string", "CLOSED-CAPTIONS": "captions"},
    "EXT-X-I-FRAME-STREAM-INF": {**_STREAM, "URI": "string"},
    "EXT-X-MEDIA": {
        "TYPE": "media", "URI": "string", "GROUP-ID": "string", "LANGUAGE": "string", "ASSOC-LANGUAGE": "string", "NAME": "string",
        "STABLE-RENDITION-ID": "string", "DEFAULT": "yesno", "AUTOSELECT": "yesno", "FORCED": "yesno", "INSTREAM-ID": "string",
        "BIT-DEPTH": "integer", "SAMPLE-RATE": "integer", "CHARACTERISTICS": "string", "CHANNELS": "string",
    },
    "EXT-X-KEY": {"METHOD": "enum", "URI": "string", "IV": "hex", "KEYFORMAT": "string", "KEYFORMATVERSIONS": "string"},
    "EXT-X-SESSION-KEY": {"METHOD": "enum", "URI": "string", "IV": "hex", "KEYFORMAT": "string", "KEYFORMATVERSIONS": "string"},
    "EXT-X-MAP": {"URI": "string", "BYTERANGE": "byterange"},
    "EXT-X-START": {"TIME-OFFSET": "signed", "PRECISE": "yesno"},
    "EXT-X-SESSION-DATA": {"DATA-ID": "string", "VALUE": "string", "URI": "string", "LANGUAGE": "string", "FORMAT": "enum"},
    "EXT-X-DATERANGE": {"ID": "string", "CLASS": "string", "START-DATE": "string", "END-DATE": "string", "DURATION": "decimal"},
    "EXT-X-DEFINE": {"NAME": "string", "VALUE": "string", "IMPORT": "string", "QUERYPARAM": "string"},
    "EXT-X-CONTENT-STEERING": {"SERVER-URI": "string", "PATHWAY-ID": "string"},
    "EXT-X-PART": {"URI": "string", "DURATION": "decimal", "INDEPENDENT": "yesno", "GAP": "yesno", "BYTERANGE": "byterange"},
    "EXT-X-PART-INF": {"PART-TARGET": "decimal"},
    "EXT-X-SERVER-CONTROL": {"CAN-SKIP-UNTIL": "decimal", "HOLD-BACK": "decimal", "PART-HOLD-BACK": "decimal", "CAN-BLOCK-RELOAD": "yesno"},
    "EXT-X-SKIP": {"SKIPPED-SEGMENTS": "integer"},
    "EXT-X-PRELOAD-HINT": {"TYPE": "enum", "URI": "string"},
    "EXT-X-RENDITION-REPORT": {"URI": "string", "LAST-MSN": "integer", "LAST-PART": "integer"},
})  # fmt: skip

REQUIRED: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "EXT-X-STREAM-INF": ("BANDWIDTH",),
    "EXT-X-I-FRAME-STREAM-INF": ("BANDWIDTH", "URI"),
    "EXT-X-MEDIA": ("TYPE", "GROUP-ID", "NAME"),
    "EXT-X-KEY": ("METHOD",),
    "EXT-X-SESSION-KEY": ("METHOD", "URI"),
    "EXT-X-MAP": ("URI",),
    "EXT-X-START": ("TIME-OFFSET",),
    "EXT-X-SESSION-DATA": ("DATA-ID",),
    "EXT-X-DATERANGE": ("ID",),
    "EXT-X-CONTENT-STEERING": ("SERVER-URI",),
    "EXT-X-PART": ("URI", "DURATION"),
    "EXT-X-PART-INF": ("PART-TARGET",),
    "EXT-X-SKIP": ("SKIPPED-SEGMENTS",),
    "EXT-X-PRELOAD-HINT": ("TYPE", "URI"),
    "EXT-X-RENDITION-REPORT": ("URI",),
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """A breach of the grammar, by the number of its rule."""

    rule: str
    line: int  # from 1
    says: str


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag with an attribute list. Values are without quotation marks."""

    name: str
    line: int
    attributes: Mapping[str, str]

    def get(self, name: str) -> str | None:
        return self.attributes.get(name)

    def number(self, name: str) -> int | None:
        """A decimal integer; None where there is none, or where it is no such thing (which is a fault of its own)."""
        value = self.attributes.get(name, "")
        return int(value) if value.isdecimal() and len(value) <= 20 else None


def read_tag(name: str, text: str, line: int) -> tuple[Tag, list[Fault]]:
    """The attributes of one tag, as far as they can be read, and what is wrong with them."""
    faults: list[Fault] = []
    values: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _ATTRIBUTE.match(text, at)
        if match is None:
            faults.append(Fault("G2", line, f"{name}: “{text[at : at + 40]}” is not an attribute of the form NAME=value"))
            break
        key, raw = match.groups()
        if key in values:
            faults.append(Fault("G2", line, f"{name} has {key} twice"))
        faults += _kind_fault(name, key, raw, line)
        values.setdefault(key, raw[1:-1] if raw.startswith('"') else raw)
        at = match.end()
        if at < len(text) and (text[at] != "," or at + 1 == len(text)):
            faults.append(Fault("G2", line, f"{name}: after {key} comes “{text[at : at + 20]}” where a comma and another attribute belong"))
            break
        at += 1
    faults += [Fault("G3", line, f"{name} has no {key}") for key in REQUIRED.get(name, ()) if key not in values]
    return Tag(name, line, MappingProxyType(values)), faults


def _kind_fault(name: str, key: str, raw: str, line: int) -> Iterator[Fault]:
    kind = KNOWN.get(name, {}).get(key)
    if kind is not None and not _KINDS[kind][0].fullmatch(raw):
        yield Fault("G4", line, f"{name}: {key}={raw[:60]} is not {_KINDS[kind][1]}")
