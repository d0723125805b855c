"""Generative over-samplers (Table III): networks that learn to draw new images of the rare classes."""
