"""The report: one HTML file of all results, that needs no network."""

from eos.page.page import Figure, Page, Sheet, render
from eos.page.results import Commit, Results, read_commit, read_files

__all__ = ["Commit", "Figure", "Page", "Results", "Sheet", "read_commit", "read_files", "render"]
