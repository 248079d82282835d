"""Which files a process opens, seen by several layers."""
