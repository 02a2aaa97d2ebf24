"""The chaos run: a whole Headwater under a stream of uploads while its parts are killed, frozen, starved of disk and slowed down.

`python -m bench.chaos` (or `make chaos`). `faults` decides what is done to whom, from a seed; `rig` starts the parts and does it;
`client` sends files as a stubborn client does; `inventory` reads what there is in the end; `checks` compares, and is pure; `report`
says it. The same clips are sent through a quiet system first: what comes out of the two must be the same bytes.
"""
