"""Clips with their texts: manifest, datasets, stored features, collation."""
