"""Seedream, on Volcengine Ark or BytePlus ModelArk."""
