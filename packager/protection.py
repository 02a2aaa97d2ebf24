"""What playlists say of a protected title: EXT-X-KEY (RFC 8216 section 4.3.2.4). Pure.

The tag comes behind EXT-X-MAP, so it does not reach the init segment, which is clear in both schemes (draft-pantos-hls-rfc8216bis
section 4.4.4.5: a key counts for what follows it). Addresses are relative, as all others are.
"""

from __future__ import annotations

from collections.abc import Callable

from media.plan import EncodePlan
from media.protection import iframe_iv, segment_iv

KeyTag = Callable[[int], str | None]
"""The tag in front of a segment, by its index, where there is one."""


def key_tag(plan: EncodePlan, rendition: str, *, iframes: bool = False) -> KeyTag:
    """For the media playlist of a rendition, or that of its I-frames; both lie two folders below the multivariant playlist."""
    protection = plan.protection
    if protection is None:
        return lambda _index: None
    uri, iv = f"../../key/{protection.key_id}", iframe_iv if iframes else segment_iv
    if protection.scheme == "cbcs":  # vectors are in the init segment; section 4.4.4.4 of the draft has it so for fragmented MP4
        once = f'#EXT-X-KEY:METHOD=SAMPLE-AES,URI="{uri}",KEYFORMAT="identity",KEYFORMATVERSIONS="1"'
        return lambda index: once if index == 0 else None
    return lambda index: f'#EXT-X-KEY:METHOD=AES-128,URI="{uri}",IV=0x{iv(plan.digest, rendition, index).hex().upper()}'


def is_padded(plan: EncodePlan) -> bool:
    """Whether what is fetched is encrypted whole, and so as long as the next multiple of a block."""
    return plan.protection is not None and plan.protection.scheme == "aes-128"


def has_manifest(plan: EncodePlan) -> bool:
    """Whether DASH can say how this title is encrypted: it knows samples, not whole segments."""
    return not is_padded(plan)
