"""Glue for other projects; each module needs the extra that its docstring names."""
