"""The errors that the models raise. Each message says what, which id, and what to do."""


class ModelError(Exception):
    """Base of every error of this package."""


class InsufficientDataError(ModelError):
    """The input is too small or too short for this model; the simple rule should serve instead."""


class FrameError(ModelError, ValueError):
    """A frame that was handed in cannot be read as what it should be; the message names the column."""


class BundleError(ModelError):
    """A saved model folder is missing, incomplete, or of another format version."""


class TrackingError(ModelError):
    """The MLflow store could not be read or written."""
