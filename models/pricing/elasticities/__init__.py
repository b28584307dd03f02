"""How quantity answers to price: changes, the fit, and how it is judged."""
