"""Predictions to scores to a report."""
