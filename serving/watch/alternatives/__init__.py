"""What could be done about an alarm, by the exact assignment of ordering; taken by a person or a policy."""
