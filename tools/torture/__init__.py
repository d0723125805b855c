"""Attacks on the project, seeded and resumable: `make torture`. What they found is in docs/reliability.md."""
