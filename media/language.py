"""Language tags (BCP 47, RFC 5646 section 2.1) as they should be written, and what a track is called that nobody gave a name. Pure."""

from __future__ import annotations

import re

UNKNOWN = "und"
_TAG = re.compile(
    r"(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4,8})(?:-(?P<script>[a-z]{4}))?(?:-(?P<region>[a-z]{2}|\d{3}))?"
    r"(?:-(?:[a-z\d]{5,8}|\d[a-z\d]{3}))*(?:-[a-wyz\d](?:-[a-z\d]{2,8})+)*(?:-x(?:-[a-z\d]{1,8})+)?"
)
_PRIVATE = re.compile(r"x(?:-[a-z\d]{1,8})+")
MAX_CHARS = 35

_NAMES = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech", "cy": "Welsh", "da": "Danish", "de": "German",
    "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian", "eu": "Basque", "fa": "Persian", "fi": "Finnish", "fr": "French",
    "ga": "Irish", "gl": "Galician", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian",
    "is": "Icelandic", "it": "Italian", "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian", "ms": "Malay",
    "nb": "Norwegian", "nl": "Dutch", "nn": "Norwegian Nynorsk", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian",
    "ru": "Russian", "sk": "Slovak", "sl": "Slovenian", "sq": "Albanian", "sr": "Serbian", "sv": "Swedish", "ta": "Tamil", "th": "Thai",
    "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip


def normal(tag: str) -> str | None:
    """`tag` in the usual spelling (`pt-BR`, `zh-Hant`), or None when it is not well-formed."""
    low = tag.strip().lower()
    if len(low) > MAX_CHARS:
        return None
    found = _TAG.fullmatch(low)
    if found is None:
        return low if _PRIVATE.fullmatch(low) else None
    parts = low.split("-")
    for place, part in enumerate(parts[1:], 1):
        if len(part) == 1:
            break
        if part == found["script"]:
            parts[place] = part.title()
        elif part == found["region"]:
            parts[place] = part.upper()
    return "-".join(parts)


def name_of(tag: str) -> str:
    """What to call a track in this language."""
    first, _, rest = tag.partition("-")
    known = _NAMES.get(first)
    if known is None:
        return "Unknown language" if tag == UNKNOWN else tag
    return f"{known} ({rest})" if rest else known
