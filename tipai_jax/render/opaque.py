"""What is seen of a picture that is partly transparent.

It owns the one rule for it, so that what people are shown is what the encoder was shown.
"""

from PIL import Image

__all__ = ["to_rgb"]


def to_rgb(image: Image.Image) -> Image.Image:
    """RGB with anything transparent over white, as transformers 5 does it."""
    if "A" in image.getbands() or image.info.get("transparency") is not None:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image).convert("RGB")
    return image.convert("RGB")
