"""The errors that the feature store raises. Each message says what, which tag or id, and what to do."""

from __future__ import annotations


class FeatureStoreError(Exception):
    """Base of every error of this package."""


class RegistryError(FeatureStoreError):
    """The tag registry is not valid, or segments over it are not.

    Attributes:
        problems: One sentence each, `<file>: <tag, source or segment>.<field>: <what is wrong>`.
    """

    def __init__(self, problems: list[str], *, of: str = "The tag registry") -> None:
        self.problems = problems
        listed = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(f"{of} has {len(problems)} problem(s):\n{listed}")


class UnknownTagError(FeatureStoreError):
    """A tag was asked for that the registry does not define."""


class SourceTableError(FeatureStoreError):
    """A table that a source reads is missing, or lacks a declared column."""


class EntityFrameError(FeatureStoreError):
    """The (consumer, time) rows handed in are not of the expected shape."""


class RefreshError(FeatureStoreError):
    """The tag state cannot be brought to the moment asked for."""


class SegmentError(FeatureStoreError):
    """A segment's condition cannot be computed over the tags."""


class ProfileError(FeatureStoreError):
    """A stored profile document cannot be read."""


class FingerprintMismatchError(ProfileError):
    """A stored profile was written under another tag schema than the reader's."""
