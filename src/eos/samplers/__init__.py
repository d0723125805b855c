"""Samplers for feature embeddings and for pixels, and the registered functions around them."""
