"""Where fitted models are kept: bundles, the MLflow store, cards."""
