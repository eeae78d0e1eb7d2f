"""Small trainable heads on frozen embeddings: plain arrays in, logits out. They know no config,
no store and no loss."""
