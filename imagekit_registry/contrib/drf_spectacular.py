"""Images in the OpenAPI schemas of drf-spectacular; needs the extra ``spectacular``.

`imagekit_registry.contrib.rest_framework` loads it where ``drf_spectacular`` is installed as an app.
"""

from __future__ import annotations

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent, build_object_type, resolve_type_hint

from imagekit_registry.cachefiles import ImageDict, PictureDict

__all__ = ["ImageSpecFieldExtension"]


class ImageSpecFieldExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """Describes a serializer's ``ImageSpecField``: one component ``Image``, or several by name.

    With a ``picture`` it is the component ``Picture``.
    """

    target_class = "imagekit_registry.contrib.rest_framework.ImageSpecField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: object) -> dict[str, object]:
        """Return the schema of the field."""
        name, kind = (
            ("Image", ImageDict) if self.target.picture is None else ("Picture", PictureDict)
        )
        schema = resolve_type_hint(kind)  # type: ignore[no-untyped-call]
        image = ResolvedComponent(  # type: ignore[no-untyped-call]
            name, ResolvedComponent.SCHEMA, schema, kind
        )
        auto_schema.registry.register_on_missing(image)
        specs = self.target.specs
        if not specs:
            return image.ref
        return build_object_type(properties=dict.fromkeys(specs, image.ref), required=list(specs))
