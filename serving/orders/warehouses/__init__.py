"""Which warehouse ships a line, on which day: cut-offs, calendars, what it can send a day."""
