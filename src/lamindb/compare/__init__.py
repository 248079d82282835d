"""What differs between two versions of a file, two folders, two runs or two transforms."""
