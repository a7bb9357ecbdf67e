"""easy-thumbnails' names over this library: its tags, filters, fields, aliases and settings.

An app, ``"imagekit_registry.contrib.easy"``, in the place of ``"easy_thumbnails"``. Its modules have
the names that those of easy-thumbnails 2.10 have, and what they give are images of ours.
"""
