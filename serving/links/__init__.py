"""Short links of shops: signed, to registered destinations only; what followed one becomes a touch."""
