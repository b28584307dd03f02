"""What experiments refuse."""

from __future__ import annotations

from serving.errors import ServingError


class ExperimentError(ServingError):
    """Something about an experiment is refused."""


class ExperimentUnknownError(ExperimentError):
    """There is no such experiment."""


class ExperimentRefusedError(ExperimentError):
    """A document cannot run; the message says why and what to do."""


class ExperimentStateError(ExperimentError):
    """The experiment is not in a state in which this can be done."""


class ExperimentChangedError(ExperimentError):
    """Another document was kept under the same id: an experiment never changes."""


class ExperimentOverlapError(ExperimentError):
    """Another experiment has the units, or what the arms would change."""
