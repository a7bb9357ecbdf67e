"""django-versatileimagefield's names over this library: its field, keys, filters, warmer, serializer.

An app, ``"imagekit_registry.contrib.versatile"``, in the place of ``"versatileimagefield"``. Its modules
have the names that those of version 3.1 have, and what they give are images of ours.
"""
