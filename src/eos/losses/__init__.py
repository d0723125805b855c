"""Losses for imbalanced classification, a file each."""
