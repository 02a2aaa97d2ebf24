"""Recipes of fragmented MP4 files: the same 12 seconds in every arrangement of fragments that FFmpeg writes."""

from __future__ import annotations

from tests.clip_recipes import AAC, Workshop, picture, recipe, tone

FRAGMENTED = {  # name -> flags of FFmpeg's muxer
    "frag-keys": "+frag_keyframe+empty_moov+default_base_moof",
    "frag-from-start": "+frag_keyframe+empty_moov",  # places count from the start of the file
    "frag-edit": "+frag_keyframe+delay_moov+default_base_moof",  # an edit list
    "frag-sidx-each": "+frag_keyframe+dash",  # an index in front of each fragment
    "frag-sidx": "+frag_keyframe+dash+global_sidx",  # one for each track, in front of all
    "frag-sidx-edit": "+frag_keyframe+dash+delay_moov+global_sidx",
    "frag-separate": "+frag_keyframe+empty_moov+default_base_moof+separate_moof",  # sound in fragments of its own
    "frag-negative": "+frag_keyframe+delay_moov+default_base_moof+negative_cts_offsets",
    "frag-no-mfra": "+frag_keyframe+empty_moov+default_base_moof+skip_trailer",
    "frag-odd": "+delay_moov+default_base_moof",  # cut wherever 0.7 s are over
    "frag-hybrid": "+frag_keyframe",  # the first fragment is in the index itself
}


@recipe("frag-source")
def _source(shop: Workshop) -> None:
    """12 s with reordered pictures, a keyframe every second, and so much noise that samples are far apart. Not fragmented."""
    x264 = ("-c:v", "libx264", "-preset", "superfast", "-bf", "3", "-threads", "1", "-g", "24", "-qp", "20", "-pix_fmt", "yuv420p")
    shop.ffmpeg(*picture("320x180", "24", 12, more="noise=alls=30:allf=t"), *tone(12), *x264, *AAC, str(shop.out))


def _as(name: str, flags: str) -> None:
    @recipe(name)
    def _make(shop: Workshop) -> None:
        often = ("-frag_duration", "700000") if name == "frag-odd" else ()
        shop.ffmpeg("-i", str(shop.of("frag-source")), "-c", "copy", "-movflags", flags, *often, str(shop.out))


for _name, _flags in FRAGMENTED.items():
    _as(_name, _flags)
