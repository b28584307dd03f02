"""One file a flow, loaded by folder. A file holds assets or a definitions function, never both."""
