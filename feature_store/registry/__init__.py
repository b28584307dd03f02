"""The checked set of definitions of one entity; its checks and its catalogue pages stand beside it."""

from feature_store.registry.registry import CONSUMER, Registry, entities, load_registry

__all__ = ["CONSUMER", "Registry", "entities", "load_registry"]
