"""Webhooks: signatures, the receiver, and re-readings of what events hint at."""
