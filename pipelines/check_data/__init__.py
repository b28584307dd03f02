"""`muyun check-data`: what a folder holds, what a run would refuse, what is missing. No graph is run."""
