"""Settlement: who gets which fen of an order, when it may be paid, and how it is taken back.

The pure engine (plans, snapshots, waterfall, reversal) knows no database; the modules that post to the ledger
build on it.
"""
