"""Phase 3: classifier heads on embeddings."""
