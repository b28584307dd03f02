"""The warehouse's core and the tags on Apache Spark, from the same lake and the same definitions."""
