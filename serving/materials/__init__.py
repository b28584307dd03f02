"""What agents and shops say of goods: titles, points and pictures by channel, checked before they spread."""
