"""Real clients beyond browsers: `python -m tests.clients` (`make clients`) plays a title of ours to its end in each that is installed."""
