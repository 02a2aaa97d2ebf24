"""What playlists say of encrypted titles."""

from __future__ import annotations

import re
from dataclasses import replace

from media.plan import EncodePlan
from media.protection import Protection, iframe_iv, padded_size, segment_iv
from packager import hls
from packager.presentation import VideoTrack, planned
from packager.protection import has_manifest, key_tag
from tests.titles import plan_of

KEY_ID = "00112233445566778899aabbccddeeff"


def locked() -> EncodePlan:
    return replace(plan_of(), protection=Protection("aes-128", KEY_ID))


def test_every_segment_has_its_own_vector_behind_a_clear_init_segment() -> None:
    plan = locked()
    vectors: set[str] = set()
    count = 0
    for track in planned(plan).tracks:
        texts = [hls.render_media(track, 6, key_tag(plan, track.spec.name))]
        if isinstance(track, VideoTrack):
            texts.append(hls.render_iframes(track, 6, key_tag(plan, track.spec.name, iframes=True)))
        for text in texts:
            assert text.index("#EXT-X-MAP") < text.index("#EXT-X-KEY")
            tags = re.findall(rf'#EXT-X-KEY:METHOD=AES-128,URI="\.\./\.\./key/{KEY_ID}",IV=0x([0-9A-F]{{32}})\n#EXTINF', text)
            assert len(tags) == text.count("#EXTINF")
            vectors.update(tags)
            count += len(tags)
    assert len(vectors) == count > 5
    name = plan.video[0].name
    assert segment_iv(plan.digest, name, 1).hex().upper() in vectors
    assert iframe_iv(plan.digest, name, 1).hex().upper() in vectors


def test_a_clear_title_has_none_of_it() -> None:
    plan = plan_of()
    track = planned(plan).video[0]
    assert hls.render_media(track, 6, key_tag(plan, track.spec.name)) == hls.render_media(track, 6)
    assert has_manifest(plan)
    assert not has_manifest(locked())


def test_padding_is_counted() -> None:
    assert [padded_size(size) for size in (0, 15, 16, 17)] == [16, 16, 32, 32]


def test_ids_have_both_spellings() -> None:
    about = Protection("aes-128", KEY_ID)
    assert about.uuid == "00112233-4455-6677-8899-aabbccddeeff"
    assert about.kid.hex() == KEY_ID


def test_samples_have_one_tag_and_no_vector() -> None:
    plan = replace(plan_of(), protection=Protection("cbcs", KEY_ID))
    text = hls.render_media(planned(plan).video[0], 6, key_tag(plan, "480p"))
    tag = f'#EXT-X-KEY:METHOD=SAMPLE-AES,URI="../../key/{KEY_ID}",KEYFORMAT="identity",KEYFORMATVERSIONS="1"'
    assert text.count("EXT-X-KEY") == 1
    assert f'#EXT-X-MAP:URI="init.mp4"\n{tag}\n#EXTINF' in text
    assert has_manifest(plan)
    assert not planned(plan).padded
