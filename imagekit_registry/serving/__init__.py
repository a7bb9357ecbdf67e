"""On-demand URLs: images that are made when somebody asks for them, not by the page that shows them."""

from __future__ import annotations

from imagekit_registry.serving.urls import image_urls
from imagekit_registry.serving.views import AsyncImageView, ImageView

__all__ = ["AsyncImageView", "ImageView", "image_urls"]
