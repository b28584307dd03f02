"""What may go wrong with a feed; every message names the connector's stream and the remedy."""

from __future__ import annotations

from pipelines.sources.contract import SourceError


class ConnectorError(SourceError):
    """A feed did not give what its declaration says; what was landed before stays."""
