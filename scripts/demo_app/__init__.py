"""The demo's parts: `desk` judges, `shelf` reads the catalogue, `cards` puts both into markup, `page` lays out and
wires, `serve` keeps it on this machine.

Nothing here judges by itself: pictures come from `precompute.generators`, opinions from `tipai_jax.auditor`. Only
    `page` and `serve` know Gradio.
"""
