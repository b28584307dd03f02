"""The embedded panel as a source."""
