"""The thin HTTP API over PostgreSQL: published scores today, orders and settlement beside them."""
