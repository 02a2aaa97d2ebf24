"""What compaction and reading the lake cost: `python -m bench.recommend_lake --events 10000000`, beside `large` of `bench.recommend`.

Events of a year, 50 for each of many viewers, are written to a live PostgreSQL by one statement a month; what is measured follows:
compaction into Parquet in a live object store, and the history read back by DuckDB. Seconds by the clock, CPU of this process and its
peak memory; that of the database is its own. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from typing import Any

from bench.live_world import live_world
from kit.world import World
from recommend import lake

GIB = 1 << 30
_MONTHS = 12
_FILL = """
    INSERT INTO view_events (event_id, viewer_id, asset_id, session_id, kind, position_s, watched_s, duration_s, at, received_at)
    SELECT %(month)s || '-' || n, 'viewer-' || hashint8(n) %% %(viewers)s, 'title-' || floor(%(titles)s * power(random(), 3))::bigint,
           'session-' || n %% 7, CASE WHEN n %% 3 = 0 THEN 'complete' ELSE 'heartbeat' END, 3000 * random(), 3000 * random(), 3000,
           at.moment, at.moment FROM generate_series(1, %(count)s) n, LATERAL (SELECT clock_timestamp() - interval '1 day'
           - (%(month)s * 30 + 30 * random() + 0 * n) * interval '1 day' AS moment) at
"""


def compaction(world: World, events: int) -> dict[str, Any]:
    for month in range(_MONTHS):
        with world.db.begin() as conn:
            count = events // _MONTHS
            conn.exec_driver_sql(_FILL, {"month": month, "viewers": max(50, events // 50), "titles": 20_000, "count": count})
    with world.db.begin() as conn:
        conn.exec_driver_sql("ANALYZE view_events")
    began_s, cpu_s = time.monotonic(), time.process_time()
    done = lake.compact(world)
    compacted_s, compacted_cpu_s = time.monotonic(), time.process_time()
    history = lake.read_interactions(world)
    read_s, read_cpu_s = time.monotonic(), time.process_time()
    return {
        "events": done.events, "days": done.days, "compaction_s": round(compacted_s - began_s, 1),
        "compaction_cpu_s": round(compacted_cpu_s - cpu_s, 1), "rows_read": len(history), "reading_s": round(read_s - compacted_s, 1),
        "reading_cpu_s": round(read_cpu_s - compacted_cpu_s, 1),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB, 2), "target_gib": 4,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    events = parser.parse_args().events
    with live_world() as world:
        print(json.dumps(compaction(world, events)))


if __name__ == "__main__":
    main()
