"""Drop-ship routing: which supplier ships which order line. Pure: no database, no clock, integers only."""
