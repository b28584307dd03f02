"""Refused rows: kept, explained by root cause, with remedies."""
