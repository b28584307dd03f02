"""Models against simple rules, peers and published figures."""
