"""Tests of the demo, from outside: it runs as a process of its own."""
