from pilkit.lib import ImageDraw
from pilkit.processors import ProcessorPipeline, ResizeToFit


class Frame:
    """Draw a line around an image."""

    def __init__(self, color="black"):
        self.color = color

    def process(self, image):
        image = image.convert("RGB")
        width, height = image.size
        ImageDraw.Draw(image).rectangle((0, 0, width - 1, height - 1), outline=self.color)
        return image


def card(side):
    return ProcessorPipeline([ResizeToFit(side, side), Frame("red")])
