"""Routes of payment channels: notices, requests, misfits, bills."""
