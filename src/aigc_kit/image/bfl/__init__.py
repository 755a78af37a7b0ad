"""``bfl``: FLUX of Black Forest Labs."""
