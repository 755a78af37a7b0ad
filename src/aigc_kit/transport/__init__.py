"""The doors: one file for each transport library, and nobody else imports that library."""
