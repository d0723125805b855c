"""Samplers for feature embeddings: `eos`, `balanced_svm`, and the `registry` that knows all by name."""
