"""Raw values to contract types: numbers, money, quantities, ids, times. No file and no rule on rows here."""
