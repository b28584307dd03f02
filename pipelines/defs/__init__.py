"""One file a flow; `pipelines.graph` puts them together."""
