"""Gemini's image models, on Vertex AI or the Developer API."""
