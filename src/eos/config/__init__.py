"""params.yaml: its schema, loading it, and what it means for a cell."""
