"""The lake: Parquet files by table."""
