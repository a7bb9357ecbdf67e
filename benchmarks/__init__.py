"""Benchmarks against other libraries and against bare scripts: ``make bench``."""
