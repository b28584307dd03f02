"""Attribution: which channels stand before orders, credits under seven rules, and what a channel causes.

Credits describe; only a hold-out or a geo test says what a channel causes (`effects`).
"""
