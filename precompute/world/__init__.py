"""The small world: scenes of recoloured OpenMoji pictograms with a caption and the exact truth about both.

`vocabulary` lists objects, colours and relations; `scene` defines scenes and the captions that describe them; `layout`
places things; `square` makes two scenes of which each breaks the caption of the other in exactly one way; `pictograms`,
`backgrounds` and `draw` draw them.
"""
