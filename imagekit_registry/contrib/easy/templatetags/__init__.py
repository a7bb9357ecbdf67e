"""Template libraries with the names that easy-thumbnails' have."""
