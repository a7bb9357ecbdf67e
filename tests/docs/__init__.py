"""Whether the documentation is true: its code runs, and it names what there is.

Blocks of these languages are run, in their order, with names that all blocks of a page share:

- ``python``: as it stands. If the first line is a comment with a path (``# photos/models.py``), as that
  module; if the path ends in ``settings.py``, the settings are in force for the rest of the page, and
  must pass the checks.
- ``pycon``: as typed at a prompt; ``...`` stands for anything, and any digest for any other.
- ``django``, ``html+django``, ``jinja``: rendered; every image in the result must exist. ``html`` is
  the result.
- ``console``: lines that start with ``$ ``. Our commands are run (``printed`` is what they print), of
  other commands of manage.py the arguments are parsed, extras and targets of make must exist.

Comments before a block, which Sphinx leaves out:

- ``<!-- not run: reason -->``
- ``<!-- needs: django>=6.1 -->``, or the name of a module; otherwise the block is left out.
- ``<!-- raises: NameOfException -->``; ``raised`` is the exception.
- ``<!-- test`` ... ``-->``: Python that readers do not see: it sets up, and asserts.

Each page runs in a process of its own, in the project `tests/docs/project`, whose app ``photos`` has the
model ``Photo`` of `standard_models.py` until the page writes one. ``add_photo()`` makes a row with a real
photograph, ``media_files()`` lists what is stored.
"""
