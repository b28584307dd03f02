"""Tags computed the slow, plain way, and made-up shops to try them on: what judges the compiler.

Shared by the tests of the feature store and the benchmark `point_in_time`. No code of the compiler is used.
"""
