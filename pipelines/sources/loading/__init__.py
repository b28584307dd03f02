"""From chunks of a source to accepted and refused rows of the lake."""
