"""`muyun explain`: one entity's tags, what readers are served, and the rows that made them."""
