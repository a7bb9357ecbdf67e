"""Template libraries under the names that sorl-thumbnail has for them."""
