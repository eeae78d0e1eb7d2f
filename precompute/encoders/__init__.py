"""A frozen CLIP: found on disk, fingerprinted, loaded, and run over prompts, images and patches."""
