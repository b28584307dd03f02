"""Payments as channels report them."""
