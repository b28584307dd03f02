"""Messages to suppliers and merchants."""
