"""The whole pipeline in one thread and under one seed: a manual clock, and a store, a broker, workers and a database that fail.

What decides is the product's own code: the table of jobs (`kit.jobs`), the transactions that end a step (`kit.step`), what follows what
(`worker.flow`), the life of an asset (`catalog.asset`), what is whole and what playlists say (`packager`). What is put in its place is
only what has effects: the database (`memory`, `memory_jobs`, `memory_books`; a contract suite holds its jobs to PostgreSQL's), the object
store, the broker, the encoder and time. `invariants` looks after every event. `python -m tests.simulation.replay SEED` shows one run.
"""
