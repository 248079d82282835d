"""Programs that write parts of the documentation, and the demonstration. `./dev` runs them."""
