"""The closed loop: known demand, a policy, and what is tuned in it."""
