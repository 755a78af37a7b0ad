"""OpenAI's Responses API, as a second wire of the OpenAI-compatible provider."""
