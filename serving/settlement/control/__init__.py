"""What stops money on its way: blocks of orders and holds of operators and rules."""
