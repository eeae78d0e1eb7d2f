"""What a head is allowed to see, as a typed choice.

This file owns the choice and the combinations that make no sense. It knows nothing of arrays, of modules or of the
config a choice came from. The default is the plan: text and image (for the patch head: text and patch), nothing else.
"""

from dataclasses import dataclass

from tipai_jax.errors import UserError

__all__ = ["PLAN", "Sees"]


@dataclass(frozen=True)
class Sees:
    """What one head sees. `Sees()` is the plan's concatenation to the letter.

    Attributes:
        text: the prompt's embedding. Without it the head is the image-only baseline.
        image: the picture: the global embedding for the global and the reason head, the patches for the patch head.
            Without it the head is the text-only baseline, and the same number for every image of a prompt.
        products: also the elementwise products text*image, or text*patch. A cosine is the sum of one, so a head with
            products holds zero-shot CLIP as a special case.
        global_image: patches are judged beside the global image (and text*global, with products).
        position: a learned bias of the hidden layer for each patch position; with attention also a learned bias of
            who attends to whom, by their offset on the grid ("left of").
        attention: one self-attention layer across the patches, conditioned on the text because its tokens hold it. The
            patch head reads its tokens; the global and the reason head pool them with queries made from the text.
        scale_inputs: multiply the embeddings by sqrt(d). They are L2-normalised, so their elements are of size
            1/sqrt(d), and a lecun-normal layer starts with activations near zero; scaled, they start at size one.

    Raises:
        UserError: if the combination makes no sense.
    """

    text: bool = True
    image: bool = True
    products: bool = False
    global_image: bool = False
    position: bool = False
    attention: bool = False
    scale_inputs: bool = False

    def __post_init__(self) -> None:
        if not (self.text or self.image):
            raise UserError("Sees(text=False, image=False): a head must see something; switch on text or image")
        if self.products and not (self.text and self.image):
            raise UserError("Sees(products=True): a product takes text and image; switch both on, or products off")
        if self.global_image and not self.image:
            raise UserError("Sees(global_image=True, image=False): without the image there is no global image; switch one of them")
        if self.attention and not self.image:
            raise UserError("Sees(attention=True, image=False): attention runs across patches; switch image on, or attention off")


PLAN = Sees()
