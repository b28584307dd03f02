"""Settlement: who gets which fen of an order, when it may be paid, and how it is taken back.

`sharing` and `plans` are the pure engine and know no database; `books` posts what they say to the ledger,
`beside` and `control` stand next to it; `channel`, `payouts` and `reports` look outside.
"""
