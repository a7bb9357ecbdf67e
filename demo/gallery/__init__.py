"""A gallery of photographs."""
