"""Matching: what each merchant should take into its assortment, from whom, and what it may bring."""
