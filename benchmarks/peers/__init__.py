"""Other ways of doing the same work, each as its own documentation shows it."""
