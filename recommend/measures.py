"""What is counted of events and suggestions, for Prometheus. Every label is one of a small, closed set."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from kit.metrics import REGISTRY

EVENTS = Counter("headwater_view_events", "View events, by what became of them.", ["outcome"], registry=REGISTRY)
FAULTS = Counter("headwater_view_event_faults", "Faults of view events that were dropped or put right.", ["fault"], registry=REGISTRY)
ANSWERS = Counter("headwater_recommend_answers", "Lists of suggestions, by where they came from.", ["answer", "source"], registry=REGISTRY)
DEGRADED = Counter(
    "headwater_recommend_degraded",
    "Lists made of trending titles because the model could not be used: none, broken, stale, failed, slow.",
    ["reason"],
    registry=REGISTRY,
)
MODEL_AGE_S = Gauge("headwater_model_age_seconds", "Age of the model this process answers from; 0 without one.", registry=REGISTRY)
RANK_SECONDS = Histogram(
    "headwater_rank_seconds",
    "Seconds from a viewer's history to scores of all titles.",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.2, 1),
    registry=REGISTRY,
)
