"""What several rooms' tests share: a database server, child processes."""
