class Stamp:
    def __init__(self, color):
        self.color = color

    def process(self, image):
        image.paste(self.color, (0, 0, 5, 5))
        return image
