from imagekit import ImageSpec, register
from imagekit.processors import ResizeToFill
from imagekit.utils import get_field_info


class Banner(ImageSpec):
    format = "JPEG"
    options = {"quality": 80}

    @property
    def processors(self):
        model, field_name = get_field_info(self.source)
        return [ResizeToFill(model.banner_width, 60)]


register.generator("store:banner", Banner)
