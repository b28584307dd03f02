"""The record: observations and steps of alarms in a chain of blocks, each a Merkle tree with proofs."""
