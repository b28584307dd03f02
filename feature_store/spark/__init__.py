"""The compiled tags on Apache Spark: the dialect, and the tag table of a Spark session."""
