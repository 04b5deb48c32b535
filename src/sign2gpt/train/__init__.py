"""Recipes, the two training stages, and the hand-over between them."""
