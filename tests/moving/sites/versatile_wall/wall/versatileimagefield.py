from io import BytesIO

from versatileimagefield.datastructures import FilteredImage, SizedImage
from versatileimagefield.registry import versatileimagefield_registry


class Grey(FilteredImage):
    def process_image(self, image, image_format, save_kwargs={}):
        imagefile = BytesIO()
        image.convert("L").save(imagefile, **save_kwargs)
        return imagefile


class Stretched(SizedImage):
    filename_key = "stretched"

    def process_image(self, image, image_format, save_kwargs, width, height):
        imagefile = BytesIO()
        image.resize((width, height)).save(imagefile, **save_kwargs)
        return imagefile


versatileimagefield_registry.register_filter("grey", Grey)
versatileimagefield_registry.register_sizer("stretched", Stretched)
