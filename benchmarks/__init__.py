"""One command each: this project beside its peers on the same work."""
