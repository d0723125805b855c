"""Images in, imbalanced subsets out."""
