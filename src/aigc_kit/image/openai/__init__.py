"""OpenAI's Images API, and the services that copied it: one dialect, one table of vendors."""
