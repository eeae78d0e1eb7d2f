"""Small trainable heads on frozen embeddings: plain arrays in, logits out. They know no config and no store."""
