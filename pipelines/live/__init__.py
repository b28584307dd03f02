"""The live loop: what came since the last full build, brought into facts, tags and prices."""
