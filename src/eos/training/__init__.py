"""Phase 1: training a network end to end."""
