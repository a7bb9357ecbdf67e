"""A small Django project that shows imagekit_registry at work: `make demo`."""
