"""Kills the pipeline at every place where it has an effect, and looks whether it recovers. See `tests.crash.points`."""
