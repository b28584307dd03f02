"""What can be wrong with a request for routes, and with the process that computes them."""

from __future__ import annotations

from serving.errors import ServingError


class InvalidRouteRequestError(ServingError):
    """The request contradicts itself; the message names the thing and the remedy.

    Attributes:
        slug: Last part of the problem type.
        title: Short text, the same for every occurrence.
    """

    slug = "invalid-route-request"
    title = "No plan can be made of this"


class NoCoordinatesError(InvalidRouteRequestError):
    """A stop or a depot has no place."""

    slug = "no-coordinates"
    title = "A place has no coordinates"


class DemandTooLargeError(InvalidRouteRequestError):
    """A stop wants more than the largest vehicle holds."""

    slug = "demand-too-large"
    title = "A stop wants more than every vehicle holds"


class EmptyWindowError(InvalidRouteRequestError):
    """A window or a shift ends before it begins."""

    slug = "empty-window"
    title = "A window has no time in it"


class UnreachableStopError(InvalidRouteRequestError):
    """No vehicle can be at a stop in its window and be back within its shift and range."""

    slug = "unreachable-stop"
    title = "No vehicle reaches a stop in time"


class UnknownNameError(InvalidRouteRequestError):
    """A depot, vehicle or stop is named that the request does not have, or one twice."""

    slug = "unknown-or-repeated-name"
    title = "A name is unknown or stands twice"


class PlannerBusyError(ServingError):
    """Every planning process is at work."""


class PlannerFailedError(ServingError):
    """A planning process ended, or gave no answer in its time."""
