"""The demo: a page on this machine that makes, scores and explains images, in Gradio; `python -m tipai_jax.demo`."""
