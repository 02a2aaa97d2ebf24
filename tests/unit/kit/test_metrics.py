"""What Prometheus reads."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from kit import metrics
from kit.metrics import JobFigures


def samples(text: bytes) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_the_queue_and_what_was_done() -> None:
    metrics.STORAGE_CALLS.labels("put", "ok").inc()
    found = samples(
        metrics.exposition(
            [
                JobFigures("transcode.encode", "queued", 7, 2, 0.0, 0.0, 0.0),
                JobFigures("transcode.encode", "succeeded", 3, 4, 20.0, 35.0, 60.0),
                JobFigures("ingest.probe", "succeeded", 1, 1, 2.0, 0.5, 0.0),
            ]
        )
    )
    assert found["headwater_jobs", "transcode.encode", "queued"] == 7
    assert found["headwater_job_attempts_total", "transcode.encode"] == 6
    assert found["headwater_job_cpu_seconds_total", "transcode.encode"] == 35
    assert found["headwater_encode_speed", "transcode.encode"] == 3
    assert ("headwater_encode_speed", "ingest.probe") not in found
    assert found["headwater_storage_calls_total", "ok", "put"] >= 1


def test_an_empty_installation_has_metrics_too() -> None:
    assert b"headwater_jobs" in metrics.exposition([])
