"""The closed loop: drawn demand, projected stock, a policy, and what is tuned in it."""
