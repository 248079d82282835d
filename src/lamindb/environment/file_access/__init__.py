"""Files that a process opens, seen by several layers."""
