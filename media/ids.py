"""The names of things. Distinct types, so that an upload id can never be passed where an asset id is meant.

Prefixed ids sort by creation time (`kit.ids` makes them); playback ids are random, because they are shared in public.
"""

from typing import NewType

AssetId = NewType("AssetId", str)
UploadId = NewType("UploadId", str)
PlaybackId = NewType("PlaybackId", str)
PlanDigest = NewType("PlanDigest", str)
