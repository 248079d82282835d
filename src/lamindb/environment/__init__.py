"""Where code runs: notebook, script, process, project, git, packages."""
