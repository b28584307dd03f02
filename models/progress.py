"""What a long training says while it works: lines for a person, nothing that decides.

Without a listener nothing is said. `pipelines.overlap.apart` listens in the process of a training.
"""

import logging

PROGRESS = logging.getLogger("muyun.progress")
