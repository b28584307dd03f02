"""Routes of journeys and of what they ask people to do."""
