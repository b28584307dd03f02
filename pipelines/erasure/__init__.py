"""Erasure of persons from everything that lies on disk: what holds them, and how it is written anew."""
