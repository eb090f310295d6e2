"""Latent-variable estimators whose evidence lower bound is, once learning has converged, a sum of entropies."""

__version__ = "0.1.0"
