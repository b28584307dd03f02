"""A SIMULATED payment channel: an HTTP server with a bank in its memory, and the adapter that speaks with it.

It moves no money. It signs what it says and verifies what it is asked, as real channels do.
"""
