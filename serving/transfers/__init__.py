"""Transfers: units of a supplier go from one warehouse to another; suggested, approved, shipped, received."""
