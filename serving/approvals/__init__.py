"""What waits for somebody's decision: requests as codes and numbers, decisions, batches, expiry.

`kinds` says what may be asked and who decides, `states` what may follow on what; both are pure. What an
approved request does is a function of the package that owns it, wired to its kind on the floor of the jobs
(`serving.jobs.effects`). Nothing here knows what a decision is about.
"""
