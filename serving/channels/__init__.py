"""Payment channels from outside: who they are, how they prove what they say, what they are asked. No books.

An adapter turns signed notices and answers of one channel into typed facts (`facts`), and requests into
calls; `protocol` says what every adapter can do, `registry` which there are. What a fact does to orders and
ledger is decided above: `serving.orders.paying.channel_facts`, `serving.settlement.channel`.
"""
