"""A folder of a user's files as a source: which files, in what dialect, and their rows as raw columns."""

from pipelines.sources.files.dialect import sniff
from pipelines.sources.files.folder import Files
from pipelines.sources.files.form import Dialect, Found

__all__ = ["Dialect", "Files", "Found", "sniff"]
