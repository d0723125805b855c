"""Balanced accuracy and its kin, and the generalization gap."""
