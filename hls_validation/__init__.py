"""A validator of HLS presentations: the grammar of draft-pantos-hls-rfc8216bis, and Apple's authoring rules, on playlists and media.

It looks at anything that speaks HLS and knows nothing of how it was made: `headwater validate URL`, or `python -m hls_validation URL`
where nothing else of this repository is there. No other package but the command line imports it, and it imports none. Beside the standard
library it needs httpx.

`playlist` and `attributes` read playlists, `boxes` and `bits` media, `fetch` gets them, `presentation` is what was read of a whole one;
`rules_playlists`, `rules_keys`, `rules_variants`, `rules_media` and `rules_dolby` judge it, `run` puts every rule to it and `report` tells.

What it does not do: decode pictures or sound, look inside MPEG transport streams, follow a live stream as it grows, or replace variables
(EXT-X-DEFINE). Rules that cannot be judged from what was read are reported as not checked.
"""

from hls_validation.fetch import Fetcher, NotFetched
from hls_validation.finding import Finding, Level, Rule
from hls_validation.run import RULES, Report, validate, validate_by

__all__ = ["RULES", "Fetcher", "Finding", "Level", "NotFetched", "Report", "Rule", "validate", "validate_by"]
