"""Labels of generated images: what the law of China asks for, written into files and read back."""
