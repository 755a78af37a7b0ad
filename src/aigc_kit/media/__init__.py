"""Image bytes: results, decoding. Used by both wings."""
