"""Where we run: notebook, script, process, project, git, packages. Looks, and changes nothing."""
