"""E-AC-3 (Dolby Digital Plus) as it is written here: 5.1 at 48 kHz and a constant rate, one independent substream, six blocks in a frame.

With all of that given, what a track says about itself is known before it is made.

Sources: ETSI TS 102 366 annex E (the bitstream; chanmap: places of loudspeakers) and annex F (`dec3`).
"""

from __future__ import annotations

PLACES = "F801"  # left, centre, right, left and right surround; low frequencies: those of `_3_2` with `_LFE`

_48_KHZ, _BSID, _COMPLETE_MAIN, _3_2, _LFE = 0, 16, 0, 7, 1  # fscod, bsid, bsmod, acmod, lfeon


def configuration(bitrate_bps: int) -> bytes:
    """The payload of the `dec3` box, F.6."""
    bits = bitrate_bps // 1000  # data_rate, 13 bits
    bits = bits << 3 | 0  # num_ind_sub: one less than there are
    bits = bits << 2 | _48_KHZ
    bits = bits << 5 | _BSID
    bits = bits << 2 | 0  # reserved, asvc
    bits = bits << 3 | _COMPLETE_MAIN
    bits = bits << 3 | _3_2
    bits = bits << 1 | _LFE
    bits = bits << 8 | 0  # reserved, no dependent substream, reserved
    return bits.to_bytes(5)
