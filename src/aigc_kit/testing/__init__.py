"""What tests of an application use; ``aigc_kit.testing.plugin`` is the pytest plugin."""
