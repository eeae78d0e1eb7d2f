import io

import numpy as np
import pytest
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from precompute.encoders import images
from precompute.encoders.images import BadImage, Preparation


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    channels = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(pixels.squeeze(), mode=None)


PHOTO = {"size": {"shortest_edge": 64}, "crop_size": {"height": 64, "width": 64}, "resample": 3}
ZOOM = {"size": {"shortest_edge": 80}, "crop_size": {"height": 64, "width": 64}, "resample": 2}
SQUARE = {"size": {"height": 64, "width": 64}, "do_center_crop": False, "resample": 4}


@pytest.mark.parametrize("config", [PHOTO, ZOOM, SQUARE])
@pytest.mark.parametrize(
    ("width", "height", "mode"),
    [(128, 128, "RGB"), (150, 97, "RGB"), (63, 201, "RGB"), (64, 64, "RGBA"), (90, 90, "L")],
)
def test_equal_to_the_processor_of_transformers(config, width, height, mode):
    image = noise(width, height, mode)
    preparation = Preparation.from_config(config, image_size=64, crop_source=0)
    ours = preparation.prepare(encoded(image, "PNG"))
    assert (ours.width, ours.height) == (width, height) and ours.detail is None
    theirs = CLIPImageProcessorPil(**config)(images=image, return_tensors="np")["pixel_values"][0]
    scaled = (ours.pixels * preparation.rescale - preparation.mean) / preparation.std
    np.testing.assert_allclose(scaled.transpose(2, 0, 1), theirs, atol=1e-5)


def test_detail_is_the_same_view_only_finer():
    ramp = np.tile(np.linspace(0, 255, 300).astype(np.uint8)[None, :, None], (100, 1, 3))
    prepared = Preparation.from_config(PHOTO, image_size=64, crop_source=126).prepare(
        encoded(Image.fromarray(ramp), "PNG")
    )
    assert prepared.detail.shape == (126, 126, 3) and prepared.pixels.shape == (64, 64, 3)
    for view in (prepared.pixels, prepared.detail):  # the middle third of the ramp
        assert view[50, 0, 0] == pytest.approx(85, abs=2) and view[50, -1, 0] == pytest.approx(170, abs=2)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_half_a_file_is_no_image(kind):
    data = encoded(noise(120, 120), kind)
    preparation = Preparation.from_config(PHOTO, image_size=64, crop_source=0)
    preparation.prepare(data)
    with pytest.raises(BadImage, match=r"\w"):
        preparation.prepare(data[: len(data) // 2])


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])  # half a WEBP cannot even be opened
def test_half_a_file_that_is_open_already_is_no_image_either(kind):
    data = encoded(noise(120, 120), kind)
    preparation = Preparation.from_config(PHOTO, image_size=64, crop_source=0)
    assert (preparation.prepare_image(Image.open(io.BytesIO(data))).pixels == preparation.prepare(data).pixels).all()
    with pytest.raises(BadImage, match=r"\w"):
        preparation.prepare_image(Image.open(io.BytesIO(data[: len(data) // 2])))


@pytest.mark.parametrize("data", [b"", b"GIF89a not an image", encoded(noise(9, 9), "BMP")])
def test_other_files_are_no_images(data):
    with pytest.raises(BadImage, match="neither JPEG, PNG nor WEBP"):
        Preparation.from_config(PHOTO, image_size=64, crop_source=0).prepare(data)


def test_too_many_pixels_are_not_decoded(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 100)
    with pytest.raises(BadImage, match="11 x 10 pixels, at most 100"):
        Preparation.from_config(PHOTO, image_size=64, crop_source=0).prepare(encoded(noise(11, 10), "PNG"))


@pytest.mark.parametrize(("width", "height"), [(1, 65_535), (65_535, 1), (3, 61)])
def test_a_strip_is_not_blown_up(width, height):
    data = encoded(Image.new("RGB", (width, height)), "PNG")
    with pytest.raises(BadImage, match=f"{width} x {height} pixels, one side may be at most 20 times the other"):
        Preparation.from_config(PHOTO, image_size=64, crop_source=0).prepare(data)
    assert Preparation.from_config(SQUARE, image_size=64, crop_source=0).prepare(data).pixels.shape == (64, 64, 3)


def test_a_long_image_is_still_read():
    assert Preparation.from_config(PHOTO, image_size=64, crop_source=0).prepare(
        encoded(noise(3, 60), "PNG")
    ).pixels.shape == (64, 64, 3)


def test_what_fails_in_the_resize_is_a_bad_image_too(monkeypatch):
    def fail(*_):
        raise ValueError("no such size")

    monkeypatch.setattr(Preparation, "_view", fail)
    with pytest.raises(BadImage, match="no such size"):
        Preparation.from_config(PHOTO, image_size=64, crop_source=0).prepare(encoded(noise(9, 9), "PNG"))


def test_the_orientation_of_a_photograph_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    prepared = Preparation.from_config(PHOTO, image_size=64, crop_source=0).prepare(
        encoded(noise(90, 70), "JPEG", exif=exif)
    )
    assert (prepared.width, prepared.height) == (70, 90)
