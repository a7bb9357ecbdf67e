from PIL import ImageDraw


def stamp(im, stamp=None, **kwargs):
    """Put a bar of a colour at the top."""
    if stamp:
        im = im.convert("RGB")
        ImageDraw.Draw(im).rectangle((0, 0, im.width, im.height // 4), fill=stamp)
    return im
