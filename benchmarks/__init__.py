"""One module a benchmark; each prints a table and writes JSON under the run folder."""
