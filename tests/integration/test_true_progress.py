"""What a whole Headwater says of a title while it is made: progress that never falls, for it and for each rendition."""

from __future__ import annotations

from typing import Any

from bench.stack_run import client_of, upload
from tests.clips import Clips
from tests.eventually import eventually
from tests.local_stack import LocalStack


def test_progress_is_told_as_it_comes(local_stack: LocalStack, clips: Clips) -> None:
    seen: list[dict[str, Any]] = []
    with client_of(local_stack) as api:
        asset_id = upload(api, clips("sync"))

        def over() -> bool:
            seen.append(api.get(f"/v1/assets/{asset_id}").raise_for_status().json())
            return seen[-1]["status"] in ("ready", "errored")

        assert eventually(over, limit_s=240)
        api.delete(f"/v1/assets/{asset_id}").raise_for_status()
    assert seen[-1]["status"] == "ready", seen[-1]["error"]
    assert (seen[-1]["progress"], seen[-1]["eta_s"]) == (1.0, None)
    told = [item["progress"] for item in seen]
    assert told == sorted(told)
    assert all(item["eta_s"] is None or item["eta_s"] >= 0 for item in seen)
    for name in [rendition["name"] for rendition in seen[-1]["renditions"]]:
        of_it = [rendition["progress"] for item in seen for rendition in item["renditions"] if rendition["name"] == name]
        assert of_it == sorted(of_it), name
        assert of_it[-1] == 1.0
