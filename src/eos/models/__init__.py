"""Backbones, the network around them, and its embeddings of images."""
