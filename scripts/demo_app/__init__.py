"""The demo's parts.

`service` makes and scores images, `catalog_view` reads the catalogue, `cards` turns both into markup, `page` lays it
out in Gradio, `serve` serves it on this machine, and `guard` refuses the requests that are not the page's.
"""
